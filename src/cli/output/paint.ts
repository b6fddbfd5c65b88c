/** Colours for terminals, by what a text means. */
import { styleText } from 'node:util';

export type Meaning = keyof typeof styles;

/** Returns the text in the colour of its meaning, or as it is. */
export type Paint = (meaning: Meaning, text: string) => string;

const styles = {
  denied: ['bold', 'red'],
  warned: ['yellow'],
  allowed: ['green'],
  uncertain: ['bold', 'magenta'],
  added: ['green'],
  removed: ['red'],
  place: ['bold'],
  hint: ['cyan'],
} satisfies Record<string, Parameters<typeof styleText>[0]>;

/** A stream without colours. */
export const plain: Paint = (_meaning, text) => text;

/** `isColored` is called for each text, because the option --color is read after the commands are made. */
export function painter(isColored: () => boolean): Paint {
  return (meaning, text) => (isColored() ? styleText(styles[meaning], text, { validateStream: false }) : text);
}

/**
 * Whether a stream gets colours by default: FORCE_COLOR (https://force-color.org) wins over NO_COLOR (https://no-color.org), as in Node.js
 * itself, and both win over what the stream is.
 */
export function supportsColor(stream: { readonly isTTY?: boolean }, env: Readonly<Record<string, string | undefined>>): boolean {
  if (env.FORCE_COLOR) return env.FORCE_COLOR !== '0' && env.FORCE_COLOR !== 'false';
  if (env.NO_COLOR || env.TERM === 'dumb') return false;
  return stream.isTTY === true;
}
