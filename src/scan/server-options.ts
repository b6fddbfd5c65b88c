/** How the server of this cluster was started, as far as a scan must know it: from the Deployment that the manifests and the chart create. */
import { type ApiClient, isNotFound, type KubeObject } from '../kube/api-client.ts';
import { combineKinds, parseCustomKinds } from '../loading/custom-kinds.ts';
import { isObject, listAt, textAt, valueAt } from '../object/json.ts';
import { builtInKinds, type Kinds } from '../object/kinds.ts';
import { flagOf, type SettingName, variableOf } from '../settings/table.ts';
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
    const files = valuesOf(container, 'customKinds');
    return {
      namespaceRules: isSet(container, 'namespaceRules'),
      rulesFromCluster: valuesOf(container, 'rules').length === 0,
      ...(await readKinds(client, namespace, files, { spec, container })),
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

/** The values after the flag, or those of the variable. */
function valuesOf(container: unknown, setting: SettingName): readonly string[] {
  const args = listAt(container, ['args']).map(String);
  const flag = flagOf(setting);
  const position = args.findIndex((word) => word === flag || word.startsWith(`${flag}=`));
  if (position < 0) return variableValue(container, setting).split(',').filter(Boolean);
  const attached = args[position]?.slice(flag.length + 1) ?? '';
  if (attached !== '') return [attached];
  const rest = args.slice(position + 1);
  const end = rest.findIndex((word) => word.startsWith('-'));
  return end < 0 ? rest : rest.slice(0, end);
}

function isSet(container: unknown, setting: SettingName): boolean {
  if (listAt(container, ['args']).includes(flagOf(setting))) return true;
  return ['true', '1'].includes(variableValue(container, setting));
}

function variableValue(container: unknown, setting: SettingName): string {
  const variables = listAt(container, ['env']);
  const found = variables.find((variable) => textAt(variable, ['name']) === variableOf(setting));
  return textAt(found, ['value']) ?? '';
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
