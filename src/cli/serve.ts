import { Command, InvalidArgumentError, Option } from 'commander';
import type { ServeOptions } from '../settings.ts';
import { extraKindsOption } from './kinds-given.ts';
import type { ExitCode } from './program.ts';

export type ServeAction = (options: ServeOptions) => Promise<void>;

export function serveCommand(action: ServeAction, finish: (code: ExitCode | undefined) => void): Command {
  return new Command('serve')
    .addOption(new Option('--rules <path...>', 'rules from files and folders, watched, instead of ConfigMaps'))
    .addOption(new Option('--dev', 'for a developer: own certificates in certs/dev, the example rules, on 127.0.0.1, without a cluster'))
    .addOption(
      new Option('--kubeconfig <file>', 'the cluster to watch (default: KUBECONFIG, ~/.kube/config, the service account of the pod)'),
    )
    .addOption(new Option('--context <name>', 'context of the kubeconfig'))
    .addOption(
      new Option('-n, --namespace <name>', 'namespace of regkeeper itself (default: POD_NAMESPACE, the namespace of the pod, regkeeper)'),
    )
    .addOption(
      new Option('--tls <mode>', 'where the certificate comes from: a Secret of our own, files, or certs/dev').choices([
        'self',
        'files',
        'dev',
      ]),
    )
    .addOption(new Option('--tls-cert <file>', 'certificate chain in PEM, reloaded when it changes'))
    .addOption(new Option('--tls-key <file>', 'its private key in PEM'))
    .addOption(new Option('--tls-ca <file>', 'authority that signed it, in PEM; needed with --register'))
    .addOption(new Option('--service <name>', 'Service that leads here').default('regkeeper'))
    .addOption(new Option('--register', 'fill the two webhook configurations named regkeeper'))
    .addOption(
      new Option(
        '--exclude-namespaces <name...>',
        'with --register: namespaces never asked about, such as those of network and storage drivers',
      ),
    )
    .addOption(
      new Option(
        '--namespace-rules',
        'namespaces may have rules of their own, in their ConfigMaps labelled regkeeper.io/rules: namespace; they never loosen',
      ),
    )
    .addOption(extraKindsOption())
    .addOption(new Option('--host <address>', 'address to listen on (default: all, with --dev 127.0.0.1)'))
    .addOption(new Option('--port <number>', 'HTTPS port').default(8443).argParser(parsePort))
    .addOption(new Option('--health-port <number>', 'plain HTTP port of /healthz, /readyz and /metrics').default(8080).argParser(parsePort))
    .addOption(
      new Option('--drain-seconds <seconds>', 'how long to go on answering after SIGTERM (default: 10, with --dev 0)').argParser(
        parseSeconds,
      ),
    )
    .addOption(
      new Option('--log-level <level>', 'of the log on standard error').choices(['debug', 'info', 'warn', 'error']).default('info'),
    )
    .addOption(new Option('--audit-log <file>', 'where the record of each decision goes (default: standard output)'))
    .action(async (options: ServeOptions) => {
      await action(options);
      finish(undefined);
    });
}

function parsePort(text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port > 65535) throw new InvalidArgumentError('a port is a number from 0 to 65535; 0 takes a free one.');
  return port;
}

function parseSeconds(text: string): number {
  const seconds = Number(text);
  if (!/^\d+(\.\d+)?$/.test(text) || seconds > 600) throw new InvalidArgumentError('seconds are a number from 0 to 600.');
  return seconds;
}
