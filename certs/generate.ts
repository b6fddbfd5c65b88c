/** `npm run certs`: writes a CA and a server certificate for development, and keeps those that are still valid. */
import { join, relative } from 'node:path';
import { Command, CommanderError } from 'commander';
import { type DevelopmentCertificates, ensureDevelopmentCertificates } from '../src/certificates/sources/development.ts';
import { errorMessage } from '../src/errors/error-message.ts';

const program = new Command('npm run certs --')
  .description('Create a CA and a server certificate for development. Certificates that are still valid are kept.')
  .option('--out <folder>', 'folder for the files', join(import.meta.dirname, 'dev'))
  .option('--host <name...>', 'host names and IP addresses to add to localhost, 127.0.0.1 and ::1', [])
  .exitOverride()
  .action(async (options: { out: string; host: string[] }) => {
    const made = await ensureDevelopmentCertificates({ directory: options.out, hosts: options.host, now: new Date() });
    process.stdout.write(`${render(made)}\n`);
  });

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = exitCodeFor(error);
}

function render(made: DevelopmentCertificates): string {
  const certificate = shortest(made.certificateFile);
  const ca = shortest(made.caFile);
  if (!made.created) return `kept ${certificate}: ${made.reason}`;
  const trust = made.caCreated
    ? `created ${ca}. Add it to the trusted CAs of your clients`
    : `kept ${ca}. Clients that trust it need no change`;
  return `created ${certificate}: ${made.reason}\n${trust}`;
}

function shortest(path: string): string {
  const fromHere = relative(process.cwd(), path);
  return fromHere.startsWith('..') ? path : fromHere;
}

/**
 * The exit code: 0 after --help, 2 for wrong usage or an unusable folder, as in all regkeeper commands. commander has already printed its
 * own message.
 */
function exitCodeFor(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  process.stderr.write(`error: ${errorMessage(error)}\n`);
  return 2;
}
