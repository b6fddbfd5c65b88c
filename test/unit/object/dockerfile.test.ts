// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are the variables of Dockerfiles
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readDockerfileImages } from '../../../src/object/dockerfile.ts';

const a = 'reg.io/a';
const b = 'reg.io/b';

describe('a Dockerfile names images', () => {
  test.each<{ name: string; text: string; images: readonly (string | undefined)[]; args?: Record<string, string | undefined> }>([
    { name: 'in FROM', text: `FROM ${a}`, images: [a] },
    { name: 'in FROM with port, tag and digest', text: `FROM reg.io:5000/a:1@sha256:00`, images: ['reg.io:5000/a:1@sha256:00'] },
    { name: 'in FROM with a platform', text: `FROM --platform=$BUILDPLATFORM ${a}`, images: [a] },
    { name: 'in FROM with a stage name', text: `FROM ${a} AS build`, images: [a] },
    { name: 'in lower case', text: `from ${a} as x\ncopy --from=${b} /a /b`, images: [a, b] },
    { name: 'in quotes', text: `FROM "${a}"\nFROM 'reg.io/b'`, images: [a, b] },
    { name: 'with blanks around', text: `\t FROM   ${a}   \n`, images: [a] },
    { name: 'with CRLF', text: `FROM ${a}\r\nCOPY --from=${b} x y\r\n`, images: [a, b] },
    { name: 'in COPY --from', text: `FROM ${a}\nCOPY --chown=1 --link --from=${b} x y`, images: [a, b] },
    { name: 'in COPY --from with a JSON list', text: `FROM ${a}\nCOPY --from=${b} ["x", "y"]`, images: [a, b] },
    { name: 'in RUN --mount', text: `FROM ${a}\nRUN --mount=type=bind,from=${b},target=/x ls`, images: [a, b] },
    {
      name: 'in several RUN --mount',
      text: `FROM ${a}\nRUN --network=none --mount=from=${b} --mount=from=reg.io/c ls`,
      images: [a, b, 'reg.io/c'],
    },
    { name: 'in a quoted field of RUN --mount', text: `FROM ${a}\nRUN --mount=type=bind,"from=${b}" ls`, images: [a, b] },
    { name: 'in RUN --mount with an upper-case key', text: `FROM ${a}\nRUN --mount=type=bind,From=${b} ls`, images: [a, b] },
    { name: 'over continuation lines', text: `FROM \\\n  ${a}\nCOPY --from=${b} \\\n  x y`, images: [a, b] },
    { name: 'over continuation lines inside a word', text: `FROM reg.io/\\\na`, images: [a] },
    { name: 'over continuation lines with the escape directive', text: `# escape=\`\nFROM \`\n ${a}`, images: [a] },
    { name: 'after a syntax directive', text: `# syntax=docker/dockerfile:1\nFROM ${a}`, images: [a] },
    { name: 'in ONBUILD, which another build carries out', text: `FROM ${a}\nONBUILD COPY --from=${b} x y`, images: [a, b] },
    { name: 'in an upper-case SCRATCH, which no tool knows', text: 'FROM SCRATCH', images: ['SCRATCH'] },
  ])('$name', ({ text, images }) => {
    expect(imagesOf(text)).toEqual(images);
  });
});

describe('a Dockerfile names no image', () => {
  test.each([
    { name: 'with scratch', text: 'FROM scratch\nCOPY x y', images: [] },
    { name: 'with the name of a stage', text: `FROM ${a} AS build\nFROM build\nCOPY --from=build x y`, images: [a] },
    { name: 'with the name of a stage in other letters', text: `FROM ${a} AS Build\nCOPY --from=bUILD x y`, images: [a] },
    { name: 'with the number of a stage', text: `FROM ${a}\nCOPY --from=0 x y\nRUN --mount=from=0 ls`, images: [a] },
    { name: 'in comments', text: `# FROM reg.io/no\nFROM ${a}\nRUN x \\\n# FROM reg.io/no\n y`, images: [a] },
    { name: 'in the rest of a RUN', text: `FROM ${a}\nRUN echo \\\n FROM reg.io/no`, images: [a] },
    { name: 'in a here-document', text: `FROM ${a}\nRUN <<EOF\nFROM reg.io/no\nEOF\nCOPY --from=${b} x y`, images: [a, b] },
    { name: 'in ADD', text: `FROM ${a}\nADD --from=reg.io/no x y`, images: [a] },
    { name: 'where an ONBUILD may mean a stage of the later build', text: `FROM ${a}\nONBUILD COPY --from=build x y`, images: [a] },
    { name: 'where one is missing', text: 'FROM\nCOPY\nCOPY --from= x y\nRUN --mount\nRUN --mount=from= x\nONBUILD', images: [] },
    { name: 'when it is empty', text: '', images: [] },
  ])('$name', ({ text, images }) => {
    expect(imagesOf(text)).toEqual(images);
  });

  test('a stage can be named by the lines after it, not by its own or earlier ones', () => {
    expect(imagesOf('FROM build AS build\nFROM later\nFROM reg.io/x AS later')).toEqual(['build', 'later', 'reg.io/x']);
  });
});

describe('build arguments', () => {
  test.each<{ name: string; text: string; args?: Record<string, string | undefined>; image: string | undefined }>([
    { name: 'have defaults', text: 'ARG T=1\nFROM reg.io/a:$T', image: 'reg.io/a:1' },
    { name: 'have quoted defaults', text: 'ARG H="reg.io"\nARG T=\'1\'\nFROM $H/a:${T}', image: 'reg.io/a:1' },
    { name: 'stand several on one line', text: 'ARG H=reg.io T=1\nFROM $H/a:$T', image: 'reg.io/a:1' },
    { name: 'build on one another', text: 'ARG H=reg.io\nARG I=$H/a\nFROM $I', image: 'reg.io/a' },
    { name: 'are overridden by buildArgs', text: 'ARG T=1\nFROM reg.io/a:$T', args: { T: '2' }, image: 'reg.io/a:2' },
    { name: 'are given by buildArgs', text: 'ARG T\nFROM reg.io/a:$T', args: { T: '2' }, image: 'reg.io/a:2' },
    { name: 'that are not declared take no buildArgs', text: 'FROM reg.io/a:$T', args: { T: '2' }, image: undefined },
    { name: 'declared too late do not count', text: 'FROM reg.io/a:$T\nARG T=1', image: undefined },
    { name: 'whose value nobody sees', text: 'ARG T=1\nFROM reg.io/a:$T', args: { T: undefined }, image: undefined },
    { name: 'with - and unset', text: 'FROM ${X-reg.io/a}', image: a },
    { name: 'with :- and empty', text: 'ARG X=\nFROM ${X:-reg.io/a}', image: a },
    { name: 'with - and empty', text: 'ARG X=\nFROM reg.io/a${X-no}', image: a },
    { name: 'with :- and set', text: 'ARG X=reg.io/a\nFROM ${X:-reg.io/no$UNSET}', image: a },
    { name: 'with :+ and set', text: 'ARG X=1\nFROM reg.io/${X:+a}', image: a },
    { name: 'with :+ and unset', text: 'FROM reg.io/a${X:+no}', image: a },
    { name: 'with :? and set', text: 'ARG X=reg.io/a\nFROM ${X:?missing}', image: a },
    { name: 'with :? and unset', text: 'FROM ${X:?missing}', image: undefined },
    { name: 'nested in a default', text: 'ARG Y=reg.io\nFROM ${X:-${Y}/a}', image: a },
    { name: 'nested too deep', text: `FROM ${'${X:-'.repeat(200)}a${'}'.repeat(200)}`, image: undefined },
    { name: 'with operators that change text', text: 'ARG X=reg.io/a\nFROM ${X%a}', image: undefined },
    { name: 'that leave nothing', text: 'ARG X=\nFROM $X', image: undefined },
    { name: 'of the platform', text: 'FROM reg.io/a:$TARGETARCH', image: undefined },
    { name: 'that double without end', text: `ARG A=aaaaaaaaaa\n${'ARG A=$A$A\n'.repeat(40)}FROM $A`, image: undefined },
    { name: 'with an escaped dollar', text: 'ARG X=1\nFROM reg.io/\\$X', image: 'reg.io/$X' },
    { name: 'named __proto__', text: 'ARG __proto__=reg.io/a\nFROM $__proto__', image: a },
  ])('$name', ({ text, args = {}, image }) => {
    expect(imagesOf(text, args)).toEqual([image]);
  });

  test('of a stage stand before those of the head', () => {
    const text = 'ARG X=reg.io/a\nFROM $X\nARG X=reg.io/b\nCOPY --from=$X x y\nFROM $X\nARG X\nRUN --mount=from=$X ls';
    expect(imagesOf(text)).toEqual([a, b, a, a]);
  });

  test('that are unresolved keep what is written', () => {
    expect(readDockerfileImages('FROM reg.io/a:${T}', new Map())).toEqual([
      { instruction: 'FROM', line: 1, written: 'reg.io/a:${T}', image: undefined, lastFrom: true },
    ]);
  });
});

test('lines are counted from one, and the last FROM is known', () => {
  const found = readDockerfileImages(`# x\nFROM ${a} AS s\n\nFROM ${b}\nCOPY --from=${a} x y`, new Map());
  expect(found.map(({ instruction, line, lastFrom }) => `${instruction} ${line} ${lastFrom}`)).toEqual([
    'FROM 2 false',
    'FROM 4 true',
    'COPY --from 5 false',
  ]);
});

test('no text makes the reader throw', () => {
  const words = [
    'FROM ',
    'ARG ',
    'COPY --from=',
    'RUN --mount=from=',
    'ONBUILD ',
    'AS ',
    '$',
    '${',
    ':-',
    '}',
    '"',
    "'",
    '\\',
    '\n',
    '# escape=`\n',
    '<<EOF',
    '=',
    'a',
    ' ',
  ];
  const text = fc.array(fc.oneof(fc.constantFrom(...words), fc.string()), { maxLength: 25 }).map((parts) => parts.join(''));
  fc.assert(
    fc.property(text, (dockerfile) => void readDockerfileImages(dockerfile, new Map([['a', 'b']]))),
    { numRuns: 1500 },
  );
});

function imagesOf(text: string, args: Record<string, string | undefined> = {}): (string | undefined)[] {
  return readDockerfileImages(text, new Map(Object.entries(args))).map(({ image }) => image);
}
