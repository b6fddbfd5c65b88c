/**
 * Reads a plain scalar as kubectl does: YAML 1.1 as go-yaml v2 reads it (go.yaml.in/yaml/v2, resolve.go). sigs.k8s.io/yaml, and so every
 * Kubernetes tool, uses go-yaml v2, which reads sexagesimal numbers and timestamps as text.
 */

/**
 * Integers that Kubernetes supports and a JavaScript number cannot represent exactly are bigints. Infinities and NaN are numbers, which the
 * caller rejects.
 */
export type ScalarValue = string | number | bigint | boolean | null;

export function readPlainScalar(text: string): ScalarValue {
  // All words have at most five characters, and numbers begin with a digit, a sign or a dot.
  if (text.length > 5 && !mayBeginNumber(text.charCodeAt(0))) return text;
  const word = words.get(text);
  if (word !== undefined) return word;
  if (text.startsWith('.')) return fraction.test(text) ? finite(text.replaceAll('_', ''), text) : text;
  if (!/^[-+\d]/.test(text)) return text;

  const digits = text.replaceAll('_', '');
  return integerOf(digits) ?? (float.test(digits) ? finite(digits, text) : text);
}

/** One of `+ - . /` and the digits. */
function mayBeginNumber(code: number): boolean {
  return (code >= 0x2d && code <= 0x39) || code === 0x2b;
}

const float = /^[-+]?(\.\d+|\d+(\.\d*)?)([eE][-+]?\d+)?$/;
/** For a number that begins with a dot Go's grammar applies, which allows _ only between digits. */
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

/** As Go's strconv.ParseInt with base 0, then ParseUint: a leading 0 means octal. Returns undefined if the text is not a 64-bit integer. */
function integerOf(digits: string): number | bigint | undefined {
  const [, sign, body] = integer.exec(digits) ?? [];
  if (body === undefined) return undefined;
  const magnitude = BigInt(/^0[0-7]/.test(body) ? `0o${body.slice(1)}` : body);
  const value = sign === '-' ? -magnitude : magnitude;
  if (value < -(2n ** 63n) || value >= 2n ** (sign === '' ? 64n : 63n)) return undefined;
  // Kubernetes itself uses a float for integers beyond int64.
  return value >= 2n ** 63n || isExact(value) ? Number(value) : value;
}

function isExact(value: bigint): boolean {
  return value <= BigInt(Number.MAX_SAFE_INTEGER) && value >= BigInt(Number.MIN_SAFE_INTEGER);
}

/** Go rejects a float that is out of range, so go-yaml reads it as text. Adding 0 turns a negative zero, which no object has, into 0. */
function finite(digits: string, text = digits): number | string {
  const value = Number(digits);
  return Number.isFinite(value) ? value + 0 : text;
}
