/** Changes of the text of a review that a fast parser could overlook. */
import fc from 'fast-check';

export type TextChange = (text: string) => string;

/** One change of the text, at a position that is chosen by a fraction of all positions. */
export const textChanges: fc.Arbitrary<TextChange> = fc.oneof(
  fc.constant<TextChange>((text) => text),
  // A duplicate before or after the field, with another value.
  fc.tuple(fraction(), fc.constantFrom('managedFields', 'metadata', 'spec', 'object', 'uid', '__proto__', 'image'), values()).map(
    ([where, name, value]): TextChange =>
      (text) =>
        atMatch(text, /[{,](?=")/g, where, (found) => `${found}${JSON.stringify(name)}:${value},`),
  ),
  fc.tuple(fraction(), fc.constantFrom('managedFields', 'metadata', 'spec', 'containers', 'image'), values()).map(
    ([where, name, value]): TextChange =>
      (text) =>
        atMatch(text, /\}/g, where, (found) => `,${JSON.stringify(name)}:${value}${found}`),
  ),
  // A field name with an escape.
  fraction().map(
    (where): TextChange =>
      (text) =>
        atMatch(text, /"[a-zA-Z]\w*"(?=:)/g, where, (found) => `"\\u${found.charCodeAt(1).toString(16).padStart(4, '0')}${found.slice(2)}`),
  ),
  // White space where JSON allows it.
  fc.tuple(fraction(), fc.constantFrom(' ', '\n', '\t\r\n')).map(
    ([where, space]): TextChange =>
      (text) =>
        atMatch(text, /(?<=")[:,]|[{[\]}](?=[,"[\]{}])/g, where, (found) => `${space}${found}${space}`),
  ),
  // Broken text.
  fc.tuple(fraction(), fc.constantFrom('', '"', '\\', '{', ']', ',', '\0', 'ü', '\n')).map(
    ([where, inserted]): TextChange =>
      (text) =>
        atMatch(text, /./gs, where, () => inserted),
  ),
  fraction().map(
    (where): TextChange =>
      (text) =>
        text.slice(0, Math.floor(text.length * where)),
  ),
  fc.constantFrom<TextChange>(
    (text) => `\ufeff${text}`,
    (text) => ` \n${text}\n `,
    (text) => `${text}{}`,
  ),
);

function fraction() {
  return fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
}

function values() {
  const deep = fc.constantFrom(20, 490, 600).map((depth) => '['.repeat(depth) + ']'.repeat(depth));
  return fc.oneof(
    deep,
    fc.constantFrom('null', '[]', '{}', '"x"', '[{"operation":"Apply"}]', '{"managedFields":[]}', '"evil.example.com/a"'),
  );
}

function atMatch(text: string, pattern: RegExp, where: number, change: (found: string) => string): string {
  const matches = [...text.matchAll(pattern)];
  const match = matches[Math.floor(matches.length * where)];
  return match ? text.slice(0, match.index) + change(match[0]) + text.slice(match.index + match[0].length) : text;
}
