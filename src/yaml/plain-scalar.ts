/**
 * What a plain scalar means to kubectl: YAML 1.1 as go-yaml v2 reads it, which sigs.k8s.io/yaml and so every Kubernetes tool uses
 * (go.yaml.in/yaml/v2, resolve.go). Sexagesimal numbers and timestamps stay text there.
 */

/** Integers that a JavaScript number cannot hold exactly, but Kubernetes can, are bigints. Infinities and NaN are numbers, for the caller to refuse. */
export type ScalarValue = string | number | bigint | boolean | null;

export function readPlainScalar(text: string): ScalarValue {
  const word = words.get(text);
  if (word !== undefined) return word;
  if (text.startsWith('.')) return fraction.test(text) ? finite(text.replaceAll('_', ''), text) : text;
  if (!/^[-+\d]/.test(text)) return text;

  const digits = text.replaceAll('_', '');
  return integerOf(digits) ?? (float.test(digits) ? finite(digits, text) : text);
}

const float = /^[-+]?(\.\d+|\d+(\.\d*)?)([eE][-+]?\d+)?$/;
/** Here Go's own grammar holds, in which a _ stands between digits only. */
const fraction = /^\.\d+(_\d+)*([eE][-+]?\d+(_\d+)*)?$/;
const integer = /^([-+]?)(0[xX][\da-fA-F]+|0[bB][01]+|0[oO][0-7]+|0[0-7]*|[1-9]\d*)$/;

const words = new Map<string, boolean | number | null>([
  ...['y', 'Y', 'yes', 'Yes', 'YES', 'true', 'True', 'TRUE', 'on', 'On', 'ON'].map((word) => [word, true] as const),
  ...['n', 'N', 'no', 'No', 'NO', 'false', 'False', 'FALSE', 'off', 'Off', 'OFF'].map((word) => [word, false] as const),
  ...['', '~', 'null', 'Null', 'NULL'].map((word) => [word, null] as const),
  ...['.nan', '.NaN', '.NAN'].map((word) => [word, Number.NaN] as const),
  ...['.inf', '.Inf', '.INF', '+.inf', '+.Inf', '+.INF'].map((word) => [word, Number.POSITIVE_INFINITY] as const),
  ...['-.inf', '-.Inf', '-.INF'].map((word) => [word, Number.NEGATIVE_INFINITY] as const),
]);

/** Go's strconv.ParseInt with base 0, then ParseUint: a leading 0 alone makes an octal. Undefined for what is no integer of 64 bits. */
function integerOf(digits: string): number | bigint | undefined {
  const [, sign, body] = integer.exec(digits) ?? [];
  if (body === undefined) return undefined;
  const magnitude = BigInt(/^0[0-7]/.test(body) ? `0o${body.slice(1)}` : body);
  const value = sign === '-' ? -magnitude : magnitude;
  if (value < -(2n ** 63n) || value >= 2n ** (sign === '' ? 64n : 63n)) return undefined;
  // Beyond int64 Kubernetes itself goes on with a float.
  return value >= 2n ** 63n || isExact(value) ? Number(value) : value;
}

function isExact(value: bigint): boolean {
  return value <= BigInt(Number.MAX_SAFE_INTEGER) && value >= BigInt(Number.MIN_SAFE_INTEGER);
}

/** Go refuses a float that is out of range, and then it is text. There is no negative zero in an object. */
function finite(digits: string, text = digits): number | string {
  const value = Number(digits);
  return Number.isFinite(value) ? value + 0 : text;
}
