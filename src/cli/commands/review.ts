/** `review`: sends objects to a running webhook as the API server does, and prints the answers. */
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { Command, InvalidArgumentError, Option } from 'commander';
import jsonPatch from 'fast-json-patch';
import type { Dispatcher } from 'undici';
import type { AdmissionAnswer, AdmissionResponse } from '../../admission/response.ts';
import type { PatchOperation } from '../../decision/inject/patch.ts';
import { explainConnectionError } from '../../errors/connection-error.ts';
import { errorCode, errorMessage } from '../../errors/error-message.ts';
import { countKinds } from '../../evaluate/count-kinds.ts';
import { renderNotEvaluated } from '../../evaluate/not-evaluated.ts';
import type { Manifest } from '../../evaluate/parse-manifests.ts';
import { groupOf, isPlatformKind } from '../../evaluate/platform-kinds.ts';
import { isObject, type JsonObject, textAt } from '../../object/json.ts';
import { builtInKinds } from '../../object/kinds.ts';
import { escapeControls } from '../../object/text.ts';
import { ConfigurationError } from '../../settings/configuration-error.ts';
import { printJson } from '../../yaml/print-json.ts';
import { readManifestsOption } from '../input/manifests-from-files.ts';
import { namespaceOption, quietOption, userOption } from '../input/options.ts';
import { helpNotes } from '../line/help-text.ts';
import { renderRemarks } from '../output/render-results.ts';
import type { ExitCode, Terminal } from '../terminal.ts';

type ReviewOptions = {
  readonly server: string;
  readonly ca: string;
  readonly namespace: string;
  readonly user: string;
  readonly quiet?: true;
};

export function reviewCommand(terminal: Terminal, finish: (code: ExitCode) => void): Command {
  return new Command('review')
    .argument('<files...>', 'manifests: files or directories, or - for standard input')
    .addOption(new Option('--server <url>', 'send to the webhook at this address').default('https://localhost:8443').argParser(parseServer))
    .addOption(new Option('--ca <file>', "verify the webhook's certificate with this CA certificate").default('certs/dev/ca.crt'))
    .addOption(namespaceOption().default('default'))
    .addOption(userOption())
    .addOption(quietOption())
    .addHelpText('after', helpNotes({ examples, exitCodes }))
    .action(async (files: readonly string[], options: ReviewOptions) => {
      const all = await readAll(files);
      const manifests = all.filter((manifest) => !isWithoutImages(manifest));
      const webhook = await connect(options);
      let anyDenied = false;
      try {
        for (const manifest of manifests) anyDenied = !(await reviewObject(manifest, options, webhook, terminal)) || anyDenied;
      } finally {
        await webhook.close();
      }
      const withoutImages = countKinds(all.filter(isWithoutImages));
      if (!options.quiet) terminal.err(renderRemarks({ withoutImages, skipped: [], unknownAccounts: [], internalRegistries: [] }));
      finish(anyDenied ? 1 : 0);
    });
}

const examples = [
  { does: 'Send a Pod to the server that "npm start" runs', line: 'regkeeper review deploy/examples/objects/pod.yaml' },
  {
    does: 'Send a directory to a different server',
    line: 'regkeeper review --server https://localhost:9443 --ca ca.crt deploy/examples/objects',
  },
];

const exitCodes = ['no object is denied', 'an object is denied', 'invalid usage, or no response'];

/** Of the platform's kinds, the API server sends only those with images. A server may know custom kinds, so all others are sent. */
function isWithoutImages({ apiVersion, kind }: Manifest): boolean {
  const group = groupOf(apiVersion);
  return builtInKinds.find({ group, kind }) === undefined && isPlatformKind(group, kind);
}

type Webhook = { post(route: string, body: unknown): Promise<AdmissionResponse>; close(): Promise<void> };

/** Prints the answer. Returns whether the object was allowed. */
async function reviewObject(
  { object, apiVersion, kind }: Manifest,
  options: ReviewOptions,
  webhook: Webhook,
  terminal: Terminal,
): Promise<boolean> {
  const review = (subject: JsonObject) => reviewOf(subject, apiVersion, kind, options);
  const mutated = await webhook.post('/mutate', review(object));
  const patch = mutated.patch === undefined ? [] : (JSON.parse(Buffer.from(mutated.patch, 'base64').toString()) as PatchOperation[]);
  const patched = jsonPatch.applyPatch(structuredClone(object), patch as jsonPatch.Operation[], true).newDocument as JsonObject;
  const validated = mutated.allowed ? await webhook.post('/validate', review(patched)) : mutated;

  const name = textAt(object, ['metadata', 'name']) ?? textAt(object, ['metadata', 'generateName']) ?? '(unnamed)';
  const outcome = validated.allowed ? 'allowed' : 'denied';
  const { paint } = terminal;
  const lines = [`${escapeControls(`${kind} ${name}`)}: ${paint.out(outcome, outcome)}`];
  if (!validated.allowed) lines.push(...indent(validated.status?.message ?? 'no reason', '  '));
  for (const operation of patch) {
    const sign = operation.op === 'remove' ? '-' : '+';
    lines.push(`  ${sign} ${operation.path}${'value' in operation ? ` ${JSON.stringify(operation.value)}` : ''}`);
  }
  const warnings = new Set([...(mutated.warnings ?? []), ...(validated.warnings ?? [])]);
  for (const warning of warnings) lines.push(`  ${paint.out('warned', 'Warning:')} ${warning}`);
  if (!options.quiet || !validated.allowed || warnings.size > 0) terminal.out(`${lines.join('\n')}\n`);
  return validated.allowed;
}

function indent(text: string, by: string): string[] {
  return text.split('\n').map((line) => `${by}${line}`);
}

function reviewOf(object: JsonObject, apiVersion: string, kind: string, { namespace, user }: ReviewOptions) {
  const [group, version] = splitApiVersion(apiVersion);
  return {
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    request: {
      uid: randomUUID(),
      kind: { group, version, kind },
      operation: 'CREATE',
      namespace: textAt(object, ['metadata', 'namespace']) ?? namespace,
      name: textAt(object, ['metadata', 'name']) ?? '',
      userInfo: { username: user, groups: ['system:authenticated'] },
      dryRun: true,
      object,
      oldObject: null,
    },
  };
}

function splitApiVersion(apiVersion: string): [group: string, version: string] {
  const slash = apiVersion.indexOf('/');
  return slash < 0 ? ['', apiVersion] : [apiVersion.slice(0, slash), apiVersion.slice(slash + 1)];
}

async function readAll(files: readonly string[]): Promise<readonly Manifest[]> {
  const { manifests, problems } = await readManifestsOption(files);
  if (problems.length > 0) throw new ConfigurationError(problems.map(renderNotEvaluated).join('\n'));
  return manifests;
}

function parseServer(text: string): string {
  if (!URL.canParse(text) || new URL(text).protocol !== 'https:') throw new InvalidArgumentError('Use https://host:port.');
  return text;
}

async function connect({ server, ca }: ReviewOptions): Promise<Webhook> {
  const caCertificate = await readCa(ca);
  const { Agent, request } = await import('undici');
  const dispatcher: Dispatcher = new Agent({ connect: { ca: caCertificate } });
  return {
    async post(route, body) {
      const { status, text } = await request(new URL(route, server), {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: printJson(body),
        dispatcher,
      })
        .then(async (response) => ({ status: response.statusCode, text: await response.body.text() }))
        .catch((error: unknown) => {
          throw new ConfigurationError(`${server}: ${describeFailure(error, ca)}`);
        });
      const answer = parseAnswer(text);
      if (status !== 200 || answer.response === undefined) {
        const reason =
          answer.message === undefined
            ? ', without an AdmissionReview. Is this the webhook port?'
            : `: ${escapeControls(String(answer.message))}`;
        throw new ConfigurationError(`${server}${route} responded with ${status}${reason}`);
      }
      return answer.response;
    },
    close: () => dispatcher.close(),
  };
}

async function readCa(file: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    if (errorCode(error) !== 'ENOENT') throw new ConfigurationError(`--ca ${file}: ${errorMessage(error)}`);
    throw new ConfigurationError(`--ca ${file}: no such file. "npm start" creates certs/dev/ca.crt`);
  });
  if (!text.includes('-----BEGIN CERTIFICATE-----')) throw new ConfigurationError(`--ca ${file} is not a PEM certificate`);
  return text;
}

function describeFailure(error: unknown, ca: string): string {
  const explanation = explainConnectionError(error);
  if (explanation !== undefined) return `${explanation} (--ca ${ca})`;
  return `${errorMessage(error) || String(errorCode(error))}. Is the server running ("npm start")? Use --server for another address`;
}

/** Any server may answer. An error of the webhook server itself is JSON with a `message`. */
function parseAnswer(text: string): Partial<AdmissionAnswer> & { readonly message?: string } {
  try {
    const answer: unknown = JSON.parse(text);
    return isObject(answer) ? (answer as Partial<AdmissionAnswer>) : {};
  } catch {
    return {};
  }
}
