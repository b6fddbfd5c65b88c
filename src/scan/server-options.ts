/** How the server of this cluster was started, as far as a scan must know it: from the Deployment that the manifests and the chart create. */
import { parseArgs } from 'node:util';
import { type ApiClient, isNotFound, type KubeObject } from '../kube/api-client.ts';
import { combineKinds, parseCustomKinds } from '../loading/custom-kinds.ts';
import { isObject, listAt, textAt, valueAt } from '../object/json.ts';
import { builtInKinds, type Kinds } from '../object/kinds.ts';
import { type CollectedSettings, collectSettings, type Flags } from '../settings/input.ts';
import { flagOf, negatedFlagOf, type SettingName, settingOf } from '../settings/table.ts';
import { describeNotRead, type NotRead } from './not-read.ts';

export type ServerOptions = {
  /** Whether namespaces may have their own rules. */
  readonly namespaceRules: boolean;
  /** Whether the rules come from ConfigMaps. */
  readonly rulesFromCluster: boolean;
  readonly kinds: Kinds;
  /** Empty if the Deployment was read, or does not exist. */
  readonly notRead: readonly NotRead[];
};

const unknownOptions: Omit<ServerOptions, 'notRead'> = { namespaceRules: false, rulesFromCluster: true, kinds: builtInKinds };

/** `namespace` is that of regkeeper. */
export async function readServerOptions(client: ApiClient, namespace: string): Promise<ServerOptions> {
  const path = `/apis/apps/v1/namespaces/${namespace}/deployments/regkeeper`;
  try {
    const spec = valueAt(await client.get<KubeObject>(path), ['spec', 'template', 'spec']);
    const container = containerOf(spec);
    const { namespaceRules, rules, customKinds } = settingsOf(container);
    return {
      namespaceRules: namespaceRules?.value ?? false,
      rulesFromCluster: rules === undefined,
      ...(await readKinds(client, namespace, customKinds?.value ?? [], { spec, container })),
    };
  } catch (error) {
    if (isNotFound(error)) return { ...unknownOptions, notRead: [] };
    return { ...unknownOptions, notRead: [describeNotRead(error, { resource: 'deployments.apps', namespace, path, verb: 'get' })] };
  }
}

function containerOf(spec: unknown): unknown {
  const containers = listAt(spec, ['containers']);
  return containers.find((container) => textAt(container, ['name']) === 'regkeeper');
}

const names = ['namespaceRules', 'rules', 'customKinds'] as const;

/** The settings as the server itself collects them, from its arguments and variables. */
function settingsOf(container: unknown): CollectedSettings['inputs'] {
  const variables = listAt(container, ['env']).map((variable) => [textAt(variable, ['name']), textAt(variable, ['value'])]);
  return collectSettings(flagsIn(listAt(container, ['args']).map(String)), Object.fromEntries(variables), names).inputs;
}

/** As the command line of the server reads these flags: lists may be repeated, and of a switch the last one wins. */
function flagsIn(args: readonly string[]): Flags {
  const { tokens } = parseArgs({ args: [...args], strict: false, tokens: true });
  const flags: { [Name in SettingName]?: string[] | boolean } = {};
  let list: string[] | undefined;
  for (const token of tokens) {
    if (token.kind === 'positional') list?.push(token.value);
    if (token.kind !== 'option') continue;
    list = undefined;
    const name = names.find((each) => [flagOf(each), negatedFlagOf(each)].includes(token.rawName));
    if (!name) continue;
    if (settingOf(name).placeholder === undefined) {
      flags[name] = token.rawName === flagOf(name);
    } else if (token.rawName === flagOf(name)) {
      list = [flags[name] ?? [], token.value ?? []].flat().filter((value) => typeof value === 'string');
      flags[name] = list;
    }
  }
  return flags;
}

type PodTemplate = { readonly spec: unknown; readonly container: unknown };

/** Reads the files from the ConfigMaps that are mounted at their folders. */
async function readKinds(
  client: ApiClient,
  namespace: string,
  files: readonly string[],
  template: PodTemplate,
): Promise<Pick<ServerOptions, 'kinds' | 'notRead'>> {
  const notRead: NotRead[] = [];
  const parsed: ReturnType<typeof parseCustomKinds>[] = [];
  for (const file of files) {
    const text = await readMounted(client, namespace, file, template, notRead);
    if (text !== undefined) parsed.push(parseCustomKinds(text, file));
  }
  const combined = combineKinds(parsed);
  if (combined.ok) return { kinds: combined.kinds, notRead };
  // The server has not started with this content, so it was changed since.
  const message = `the custom kinds of the server are invalid: ${combined.problems.map((problem) => problem.replace(/\.$/, '')).join('; ')}. Fix the file, or pass a corrected one with --custom-kinds`;
  return { kinds: builtInKinds, notRead: [...notRead, { resource: 'configmaps', namespace, code: 'unknown-kind', message }] };
}

async function readMounted(
  client: ApiClient,
  namespace: string,
  file: string,
  { spec, container }: PodTemplate,
  notRead: NotRead[],
): Promise<string | undefined> {
  const slash = file.lastIndexOf('/');
  const mount = listAt(container, ['volumeMounts']).find((each) => textAt(each, ['mountPath']) === file.slice(0, slash));
  const volume = listAt(spec, ['volumes']).find((each) => textAt(each, ['name']) === textAt(mount, ['name']));
  const configMap = textAt(volume, ['configMap', 'name']);
  const place = { resource: 'configmaps', namespace };
  if (mount === undefined || configMap === undefined) {
    const message = `the server reads custom kinds from ${file}, which is not in a ConfigMap. Pass the file with --custom-kinds`;
    notRead.push({ ...place, code: 'unknown-kind', message });
    return undefined;
  }
  const path = `/api/v1/namespaces/${namespace}/configmaps/${configMap}`;
  try {
    const { data } = await client.get<KubeObject & { readonly data?: unknown }>(path);
    const text = isObject(data) ? data[file.slice(slash + 1)] : undefined;
    if (typeof text === 'string') return text;
    notRead.push({
      ...place,
      code: 'unknown-kind',
      message: `the ConfigMap ${namespace}/${configMap} has no key ${file.slice(slash + 1)}. Add it, or pass the file with --custom-kinds`,
    });
  } catch (error) {
    notRead.push(describeNotRead(error, { ...place, path, verb: 'get' }));
  }
  return undefined;
}
