/** Reads a source: the Secret in regkeeper's namespace whose entries are copied. */
import {
  isRegistrySecretType,
  parseRegistryCredentials,
  type RegistryCredential,
  type RegistrySecretProblemCode,
  registrySecretProblems,
  withoutPassword,
} from '../credentials/registry-secret.ts';
import { quote } from '../image/problem.ts';
import { type JsonObject, valueAt } from '../object/json.ts';
import { sourceLabel } from './names.ts';

/** A source that can be copied. */
export type UsableSource = {
  readonly state: 'usable';
  /** Changes with every write to the Secret. */
  readonly version: string;
  /** The entries that a kubelet can read and that have a user name or a password. They must not reach a log. */
  readonly credentials: readonly RegistryCredential[];
  /** Entries that are left out of every copy. */
  readonly problems: readonly SourceProblem[];
};

export type SourceProblem = {
  readonly code: RegistrySecretProblemCode | 'entry-without-login';
  /** The key of the entry, if one entry is concerned. A password in it is masked. */
  readonly entry?: string;
  /** One sentence with the key. It contains no credential. */
  readonly cause: string;
};

export type SourceState = UsableSource | UnusableSource;

/** Copies of a source that cannot be copied stay as they are. */
export type UnusableSource = { readonly state: 'unusable'; readonly code: UnusableSourceCode; readonly message: string };
export type UnusableSourceCode = 'source-forbidden' | 'source-missing' | 'source-unlabelled' | 'source-type' | 'source-malformed';

/** The state of a source from its Secret, with metadata, type and data. Undefined if there is no such Secret. */
export function readSource(name: string, secret: JsonObject | undefined): SourceState {
  if (secret === undefined)
    return unusable('source-missing', `the source ${quote(name)} does not exist. Create it in regkeeper's namespace`);
  if (valueAt(secret, ['metadata', 'labels', sourceLabel]) !== 'true') {
    return unusable(
      'source-unlabelled',
      `the source ${quote(name)} does not have the label ${sourceLabel}: "true". Add it to allow copies`,
    );
  }
  const type = valueAt(secret, ['type']);
  const read = isRegistrySecretType(type) ? parseRegistryCredentials(secret) : undefined;
  if (read === undefined) {
    return unusable('source-type', `the source ${quote(name)} has the type ${quote(String(type))}, which has no registry credentials`);
  }
  const fatal = read.problems.find(
    ({ code, entry }) => registrySecretProblems[code] === 'rejected' || (entry === undefined && code === 'auths-type'),
  );
  if (fatal) return unusable('source-malformed', `the source ${quote(name)} is malformed. ${fatal.message}`);
  return {
    state: 'usable',
    version: `${text(valueAt(secret, ['metadata', 'uid']))} ${text(valueAt(secret, ['metadata', 'resourceVersion']))}`,
    credentials: read.auths.filter(({ hasLogin }) => hasLogin),
    problems: [...read.problems, ...read.auths.filter(({ hasLogin }) => !hasLogin).map(problemWithoutLogin)],
  };
}

/** Docker writes such entries if a credential helper has the password. */
function problemWithoutLogin({ key }: RegistryCredential): SourceProblem {
  const entry = withoutPassword(key);
  return { code: 'entry-without-login', entry, cause: `Entry ${quote(entry)}: it has no user name and no password.` };
}

/** The state of a source that this account may not read. */
export function forbiddenSource(name: string): UnusableSource {
  return unusable('source-forbidden', `no permission to read the source ${quote(name)}. Apply the output of "regkeeper rbac --deliver"`);
}

function unusable(code: UnusableSourceCode, message: string): UnusableSource {
  return { state: 'unusable', code, message };
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
