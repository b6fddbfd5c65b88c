/**
 * Reads Secrets with registry credentials as the kubelet does, and finds what is wrong with them. One malformed entry spoils the secret,
 * and with it every pull of the Pods that list it, also of images of other registries (kubernetes pkg/credentialprovider/secrets: an error
 * in one secret ends the lookup; seen on a node). The API server accepts such secrets: it checks only that the content is a JSON object.
 *
 * The problems have no user name, no password and no token, so they may be printed. A key of `auths` is as in the Secret, where a password may be
 * in it by mistake.
 */
import { quote } from '../image/problem.ts';
import { isAbsent, isObject, type JsonObject, valueAt } from '../object/json.ts';
import { keyringName } from './key-location.ts';
import type { KeyedEntry } from './kubelet.ts';

/** The types of Secret that the kubelet and OpenShift's builds read as registry credentials, with the key of their content. */
export const registrySecretContents = {
  'kubernetes.io/dockerconfigjson': '.dockerconfigjson',
  'kubernetes.io/dockercfg': '.dockercfg',
} as const;

export type RegistrySecretType = keyof typeof registrySecretContents;

export const registrySecretTypes = Object.keys(registrySecretContents) as readonly RegistrySecretType[];

export function isRegistrySecretType(type: unknown): type is RegistrySecretType {
  return typeof type === 'string' && Object.hasOwn(registrySecretContents, type);
}

export type RegistrySecret = {
  /** The entries that can be read, in their order. A kubelet uses none of them if a problem breaks pulls. */
  readonly auths: readonly RegistryAuth[];
  readonly problems: readonly RegistrySecretProblem[];
};

export type RegistryAuth = KeyedEntry & {
  /** Whether the entry has a user name or a password. Docker writes entries without one where a credential helper has the password. */
  readonly hasLogin: boolean;
};

/** An entry with its content as in the Secret. It must not reach a log or a message. */
export type RegistryCredential = RegistryAuth & { readonly content: JsonObject };

export type RegistryCredentials = { readonly auths: readonly RegistryCredential[]; readonly problems: readonly ExplainedProblem[] };

/** `cause` is the problem alone, in one sentence. The message also has its effect on Pods that list the Secret, which copies do not have. */
export type ExplainedProblem = RegistrySecretProblem & { readonly cause: string };

export type RegistrySecretProblem = {
  readonly code: RegistrySecretProblemCode;
  /** The key of the entry, if one entry is concerned. */
  readonly entry?: string;
  /** The problem, its effect and the fix, in full sentences. Bounded, printable ASCII, and without content of the secret except its keys. */
  readonly message: string;
};

/** What follows from a problem. */
export type SecretEffect = 'rejected' | 'breaks-pulls' | 'entry-ignored';

/** Every problem of a registry secret, with what follows from it. */
export const registrySecretProblems = {
  'no-content': 'rejected',
  'content-not-base64': 'rejected',
  'content-not-json': 'rejected',
  'content-not-object': 'rejected',
  'auths-type': 'breaks-pulls',
  'entry-type': 'breaks-pulls',
  'field-type': 'breaks-pulls',
  'auth-not-base64': 'breaks-pulls',
  'auth-without-colon': 'breaks-pulls',
  'key-unreadable': 'entry-ignored',
} as const satisfies Record<string, SecretEffect>;

export type RegistrySecretProblemCode = keyof typeof registrySecretProblems;

const effects: Readonly<Record<SecretEffect, string>> = {
  rejected: 'The API server rejects the Secret.',
  'breaks-pulls': 'Every image pull for a Pod that lists the Secret fails, even from other registries.',
  'entry-ignored': 'Kubelets ignore the entry.',
};

/** Reads a Secret with its `type`, `data` and `stringData`. Undefined if its type is none of registry credentials. Never throws. */
export function parseRegistrySecret(secret: JsonObject): RegistrySecret | undefined {
  const read = parseRegistryCredentials(secret);
  return (
    read && {
      auths: read.auths.map(({ key, hasLogin }) => ({ key, hasLogin })),
      problems: read.problems.map(({ cause: _cause, ...problem }) => problem),
    }
  );
}

/** The same with passwords, to copy entries into another Secret. */
export function parseRegistryCredentials(secret: JsonObject): RegistryCredentials | undefined {
  const type = valueAt(secret, ['type']);
  if (!isRegistrySecretType(type)) return undefined;
  const content = readContent(secret, registrySecretContents[type]);
  if ('problem' in content) return { auths: [], problems: [content.problem] };
  return type === 'kubernetes.io/dockercfg' ? readAuths(content.json, '.dockercfg') : readConfig(content.json);
}

type Content = { readonly json: JsonObject } | { readonly problem: ExplainedProblem };

/** `stringData` replaces `data`, as when the API server stores the Secret. */
function readContent(secret: JsonObject, key: string): Content {
  const plain = valueAt(secret, ['stringData', key]);
  const encoded = valueAt(secret, ['data', key]);
  const text = typeof plain === 'string' ? plain : typeof encoded === 'string' ? decodeText(encoded) : '';
  if (text === undefined) return { problem: problem('content-not-base64', `data[${quote(key)}] is not base64.`) };
  if (text === '') return { problem: problem('no-content', `It has no key ${quote(key)}, which its type requires.`) };
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    // The reason of the parser quotes the content.
    return { problem: problem('content-not-json', `${quote(key)} is not JSON.`) };
  }
  if (json !== null && !isObject(json)) return { problem: problem('content-not-object', `${quote(key)} is not a JSON object.`) };
  return { json: json ?? {} };
}

/** Go takes `Auths` for `auths` too, and merges them. */
function readConfig(json: JsonObject): RegistryCredentials {
  const headers = fieldsNamed(json, 'httpheaders').filter((value) => !isAbsent(value));
  const badHeaders = headers.some((value) => !isObject(value) || Object.values(value).some((text) => !isTextOrNull(text)));
  const parts = fieldsNamed(json, 'auths').map((auths) => readAuths(auths, 'auths'));
  return {
    auths: parts.flatMap(({ auths }) => auths),
    problems: [
      ...(badHeaders ? [problem('field-type', '"HttpHeaders" is not a mapping of names to strings.')] : []),
      ...parts.flatMap(({ problems }) => problems),
    ],
  };
}

function readAuths(json: unknown, name: string): RegistryCredentials {
  if (isAbsent(json)) return { auths: [], problems: [] };
  if (!isObject(json))
    return { auths: [], problems: [problem('auths-type', `${quote(name)} is not a mapping of registries to credentials.`)] };
  const auths: RegistryCredential[] = [];
  const problems: ExplainedProblem[] = [];
  for (const [key, entry] of Object.entries(json)) {
    const read = readEntry(key, entry);
    if ('code' in read) problems.push(read);
    else auths.push(read);
    if (keyringName(key) === undefined) problems.push(entryProblem('key-unreadable', key, 'the key is not a registry'));
  }
  return { auths, problems };
}

function readEntry(key: string, entry: unknown): RegistryCredential | ExplainedProblem {
  if (isAbsent(entry)) return { key, hasLogin: false, content: {} };
  if (!isObject(entry)) return entryProblem('entry-type', key, 'it is not a mapping with "auth", or "username" and "password"');
  const [login = [], password = [], email = [], auth = []] = ['username', 'password', 'email', 'auth'].map((name) =>
    fieldsNamed(entry, name),
  );
  if (![...login, ...password, ...email, ...auth].every(isTextOrNull)) {
    return entryProblem('field-type', key, '"username", "password", "email" and "auth" must be strings');
  }
  const encoded = auth.findLast((text) => typeof text === 'string' && text !== '');
  if (typeof encoded !== 'string') {
    return { key, hasLogin: [...login, ...password].some((text) => !isAbsent(text) && text !== ''), content: entry };
  }
  const decoded = decodeBase64(encoded, encoded.trimEnd().endsWith('=') ? 'padded' : 'unpadded');
  if (decoded === undefined) return entryProblem('auth-not-base64', key, '"auth" is not base64');
  if (!decoded.includes(':')) return entryProblem('auth-without-colon', key, '"auth" has no colon between user name and password');
  return { key, hasLogin: decoded !== ':', content: entry };
}

/** Go matches names of fields without regard to case. */
function fieldsNamed(json: JsonObject, lowerCase: string): readonly unknown[] {
  return Object.entries(json).flatMap(([name, value]) => (name.toLowerCase() === lowerCase ? [value] : []));
}

function isTextOrNull(value: unknown): boolean {
  return isAbsent(value) || typeof value === 'string';
}

/** Undefined if it is not base64. As Go's encoding/json, invalid UTF-8 becomes U+FFFD, and a byte order mark is no JSON. */
function decodeText(encoded: string): string | undefined {
  const bytes = decodeBase64(encoded, 'padded');
  if (bytes === undefined) return undefined;
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(Uint8Array.from(bytes, (character) => character.charCodeAt(0)));
}

/** Each byte as one character. As Go's encoding/base64, which skips line breaks and is strict otherwise. Undefined if it is not base64. */
function decodeBase64(text: string, padding: 'padded' | 'unpadded'): string | undefined {
  const digits = text.replace(/[\r\n]/g, '');
  const body = padding === 'padded' ? digits.replace(/={1,2}$/, '') : digits;
  if (/[^A-Za-z0-9+/]/.test(body) || body.length % 4 === 1 || (padding === 'padded' && digits.length % 4 !== 0)) return undefined;
  return atob(body);
}

function entryProblem(code: RegistrySecretProblemCode, key: string, what: string): ExplainedProblem {
  const entry = withoutPassword(key);
  return { ...problem(code, `Entry ${quote(entry)}: ${what}.`), entry };
}

/** A key of `auths` may contain a password by mistake. */
export function withoutPassword(key: string): string {
  return key.replace(/^.*@/s, '***@');
}

function problem(code: RegistrySecretProblemCode, cause: string): ExplainedProblem {
  const fix = registrySecretProblems[code] === 'entry-ignored' ? '' : ' Recreate it with "kubectl create secret docker-registry".';
  return { code, cause, message: `${cause} ${effects[registrySecretProblems[code]]}${fix}` };
}
