/** Reads a scalar with its tag and quotes as kubectl does. */
import { readPlainScalar, type ScalarValue } from './plain-scalar.ts';
import type { YamlTrouble } from './yaml-error.ts';

export type WrittenScalar = {
  /** Without its quotes, and with escapes replaced. */
  readonly text: string;
  /** False for quoted scalars and block scalars. */
  readonly plain: boolean;
  readonly tag: string | undefined;
};

/** Returns the value, or the reason why it has no JSON value. */
export function readKubectlScalar({ text, plain, tag }: WrittenScalar): ScalarValue | YamlTrouble {
  const value = tag === undefined ? (plain ? readPlainScalar(text) : text) : readTagged(text, tag);
  return typeof value === 'number' && !Number.isFinite(value) ? { code: 'not-json-number', text } : value;
}

export const coreTag = 'tag:yaml.org,2002:';

/** A tag that is not one of YAML's core tags is ignored, and the scalar is text. */
function readTagged(text: string, tag: string): ScalarValue | YamlTrouble {
  if (!tag.startsWith(coreTag)) return text;
  if (tag === `${coreTag}binary`) return readBinary(text);
  const value = readPlainScalar(text);
  const isNumber = typeof value === 'number' || typeof value === 'bigint';
  const matches = {
    bool: typeof value === 'boolean',
    int: typeof value === 'bigint' || Number.isInteger(value),
    float: isNumber,
    null: value === null,
  }[tag.slice(coreTag.length)];
  if (matches === false) return { code: 'wrong-tag', text, tag };
  return matches === true ? value : text;
}

function readBinary(text: string): string | YamlTrouble {
  const digits = text.replace(/\s/g, '').replace(/=+$/, '');
  if (!/^[A-Za-z\d+/]*$/.test(digits) || digits.length % 4 === 1) return { code: 'bad-binary' };
  const bytes = atob(digits);
  // Unused bits after the last byte must be zero.
  if (btoa(bytes).replace(/=+$/, '') !== digits) return { code: 'bad-binary' };
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(Uint8Array.from(bytes, (byte) => byte.charCodeAt(0)));
}
