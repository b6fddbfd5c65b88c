// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are the variables of Dockerfiles
/** The images that are read from a Dockerfile. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { maxExpanded, maxImages } from '../../../../src/object/dockerfile/budget.ts';
import {
  type BuildArgs,
  type DockerfileContext,
  type DockerfileImage,
  readDockerfileImages,
  readUncached,
} from '../../../../src/object/dockerfile/images.ts';
import { hostileDockerfiles } from '../../../hostile/dockerfiles.ts';
import { propertyTimeout, runs } from '../../../property.ts';

const a = 'reg.io/a';
const b = 'reg.io/b';
const growing: BuildArgs = { args: new Map(), mayGrow: true };

describe('a Dockerfile contains images', () => {
  test.each<{ name: string; text: string; images: readonly (string | undefined)[]; args?: Record<string, string | undefined> }>([
    { name: 'in FROM', text: `FROM ${a}`, images: [a] },
    { name: 'in FROM with port, tag and digest', text: `FROM reg.io:5000/a:1@sha256:00`, images: ['reg.io:5000/a:1@sha256:00'] },
    { name: 'in FROM with a platform', text: `FROM --platform=$BUILDPLATFORM ${a}`, images: [a] },
    { name: 'in FROM with a stage name', text: `FROM ${a} AS build`, images: [a] },
    { name: 'in lower case', text: `from ${a} as x\ncopy --from=${b} /a /b`, images: [a, b] },
    { name: 'in quotes', text: `FROM "${a}"\nFROM 'reg.io/b'`, images: [a, b] },
    { name: 'with spaces around', text: `\t FROM   ${a}   \n`, images: [a] },
    { name: 'with CRLF', text: `FROM ${a}\r\nCOPY --from=${b} x y\r\n`, images: [a, b] },
    { name: 'in COPY --from', text: `FROM ${a}\nCOPY --chown=1 --link --from=${b} x y`, images: [a, b] },
    { name: 'in COPY --from with a JSON list', text: `FROM ${a}\nCOPY --from=${b} ["x", "y"]`, images: [a, b] },
    { name: 'in RUN --mount', text: `FROM ${a}\nRUN --mount=type=bind,from=${b},target=/x ls`, images: [a, b] },
    {
      name: 'in multiple RUN --mount',
      text: `FROM ${a}\nRUN --network=none --mount=from=${b} --mount=from=reg.io/c ls`,
      images: [a, b, 'reg.io/c'],
    },
    { name: 'in a quoted field of RUN --mount', text: `FROM ${a}\nRUN --mount=type=bind,"from=${b}" ls`, images: [a, b] },
    { name: 'in RUN --mount with an upper-case key', text: `FROM ${a}\nRUN --mount=type=bind,From=${b} ls`, images: [a, b] },
    { name: 'over continuation lines', text: `FROM \\\n  ${a}\nCOPY --from=${b} \\\n  x y`, images: [a, b] },
    { name: 'over continuation lines within a word', text: `FROM reg.io/\\\na`, images: [a] },
    { name: 'over continuation lines with the escape directive', text: `# escape=\`\nFROM \`\n ${a}`, images: [a] },
    { name: 'after a syntax directive', text: `# syntax=docker/dockerfile:1\nFROM ${a}`, images: [a] },
    { name: 'in ONBUILD, which another build executes', text: `FROM ${a}\nONBUILD COPY --from=${b} x y`, images: [a, b] },
    { name: 'in upper-case SCRATCH, which no tool recognizes', text: 'FROM SCRATCH', images: ['SCRATCH'] },
  ])('$name', ({ text, images }) => {
    expect(imagesOf(text)).toEqual(images);
  });
});

describe('a Dockerfile contains no image', () => {
  test.each([
    { name: 'with scratch', text: 'FROM scratch\nCOPY x y', images: [] },
    { name: 'with the name of a stage', text: `FROM ${a} AS build\nFROM build\nCOPY --from=build x y`, images: [a] },
    { name: 'with the name of a stage in a different case', text: `FROM ${a} AS Build\nCOPY --from=bUILD x y`, images: [a] },
    { name: 'with the number of an earlier stage', text: `FROM ${a}\nFROM ${b}\nCOPY --from=0 x y`, images: [a, b] },
    {
      name: 'with a stage that only an unused stage uses',
      text: `FROM ${a} AS x\nFROM ${a}\nCOPY --from=x y z\nFROM ${b}`,
      images: [a, a, b],
    },
    { name: 'in comments', text: `# FROM reg.io/no\nFROM ${a}\nRUN x \\\n# FROM reg.io/no\n y`, images: [a] },
    { name: 'in other parts of a RUN', text: `FROM ${a}\nRUN echo \\\n FROM reg.io/no`, images: [a] },
    { name: 'in a here-document', text: `FROM ${a}\nRUN <<EOF\nFROM reg.io/no\nEOF\nCOPY --from=${b} x y`, images: [a, b] },
    { name: 'in ADD', text: `FROM ${a}\nADD --from=reg.io/no x y`, images: [a] },
    { name: 'if an ONBUILD may refer to a stage of the later build', text: `FROM ${a}\nONBUILD COPY --from=build x y`, images: [a] },
    { name: 'if an image is missing', text: 'FROM\nCOPY\nCOPY --from= x y\nRUN --mount\nRUN --mount=from= x\nONBUILD', images: [] },
    { name: 'when it is empty', text: '', images: [] },
  ])('$name', ({ text, images }) => {
    expect(imagesOf(text)).toEqual(images);
  });

  test.each([
    { name: 'its name', text: `FROM ${a} AS reg.io/own\nCOPY --from=reg.io/own x y`, images: [a, 'reg.io/own'] },
    { name: 'its name, in a mount', text: `FROM ${a} AS reg.io/own\nRUN --mount=from=reg.io/own,target=/x ls`, images: [a, 'reg.io/own'] },
    { name: 'its name of one segment', text: `FROM ${a} AS own\nCOPY --from=own x y`, images: [a, 'own'] },
    {
      name: 'its name, which an earlier stage has too',
      text: `FROM ${a} AS own\nFROM ${b} AS own\nCOPY --from=own x y`,
      images: [a, b, 'own'],
    },
    { name: 'its number', text: `FROM ${a} AS own\nCOPY --from=0 x y`, images: [a, 'own'] },
    { name: 'its number, without a name', text: `FROM ${a}\nCOPY --from=0 x y`, images: [a, '0'] },
    { name: 'the number of a later stage', text: `FROM ${a}\nCOPY --from=1 x y\nFROM ${b} AS own`, images: [a, 'own', b] },
  ])('the current stage cannot be referenced: $name', ({ text, images }) => {
    expect(imagesOf(text)).toEqual(images);
  });

  test('a stage name that BuildKit does not allow is an image, even if a stage has it', () => {
    expect(imagesOf(`FROM ${a} AS reg.io/x\nFROM ${b}\nCOPY --from=reg.io/x x y`)).toEqual([a, b, 'reg.io/x']);
  });

  test('a stage that buildah skips as unused is pulled as an image', () => {
    expect(imagesOf(`FROM ${a} AS x\nFROM ${b}\nARG X=x\nCOPY --from=$X y z`)).toEqual([a, b, 'x']);
  });

  test('a number after RUN --mount is a name', () => {
    expect(imagesOf(`FROM ${a}\nFROM ${b}\nRUN --mount=from=0,target=/x ls`)).toEqual([a, b, '0']);
  });

  test('an ONBUILD is executed by a stage that starts from its stage, and by the one that a post-commit hook adds', () => {
    expect(imagesOf(`FROM ${a} AS x\nONBUILD COPY --from=later y z\nFROM x`)).toEqual([a, 'later']);
    const hooked = imagesIn(`FROM ${a}\nONBUILD COPY --from=later y z`, { ...growing, continued: true });
    expect(hooked.map(({ image }) => image)).toEqual([a, 'later']);
  });

  test('a stage can be referenced by the lines after it, not by its own or earlier ones', () => {
    expect(imagesOf('FROM build AS build\nFROM later\nFROM reg.io/x AS later')).toEqual(['build', 'later', 'reg.io/x']);
  });
});

describe('build arguments', () => {
  test.each<{ name: string; text: string; args?: Record<string, string | undefined>; image: string | undefined }>([
    { name: 'have defaults', text: 'ARG T=1\nFROM reg.io/a:$T', image: 'reg.io/a:1' },
    { name: 'have quoted defaults', text: 'ARG H="reg.io"\nARG T=\'1\'\nFROM $H/a:${T}', image: 'reg.io/a:1' },
    { name: 'can be several on one line', text: 'ARG H=reg.io T=1\nFROM $H/a:$T', image: 'reg.io/a:1' },
    { name: 'can use one another', text: 'ARG H=reg.io\nARG I=$H/a\nFROM $I', image: 'reg.io/a' },
    { name: 'are overridden by buildArgs', text: 'ARG T=1\nFROM reg.io/a:$T', args: { T: '2' }, image: 'reg.io/a:2' },
    { name: 'are set by buildArgs', text: 'ARG T\nFROM reg.io/a:$T', args: { T: '2' }, image: 'reg.io/a:2' },
    { name: 'ignore buildArgs and expand to nothing if they are undeclared', text: 'FROM reg.io/a$T', args: { T: '2' }, image: a },
    { name: 'are ignored if they are declared too late', text: 'FROM reg.io/a$T\nARG T=1', image: a },
    { name: 'can have an unknown value', text: 'ARG T=a\nFROM reg.io/$T', args: { T: undefined }, image: undefined },
    { name: 'with - and unset', text: 'FROM ${X-reg.io/a}', image: a },
    { name: 'with :- and empty', text: 'ARG X=\nFROM ${X:-reg.io/a}', image: a },
    { name: 'with - and empty', text: 'ARG X=\nFROM reg.io/a${X-no}', image: a },
    { name: 'with :- and set', text: 'ARG X=reg.io/a\nFROM ${X:-reg.io/no$UNSET}', image: a },
    { name: 'with :+ and set', text: 'ARG X=1\nFROM reg.io/${X:+a}', image: a },
    { name: 'with :+ and unset', text: 'FROM reg.io/a${X:+no}', image: a },
    { name: 'with :? and set', text: 'ARG X=reg.io/a\nFROM ${X:?missing}', image: a },
    { name: 'with :? and unset, which older tools treat as a default', text: 'FROM ${X:?reg.io/a}', image: a },
    { name: 'nested in a default', text: 'ARG Y=reg.io\nFROM ${X:-${Y}/a}', image: a },
    {
      name: 'nested too deeply',
      text: `FROM ${'${X:-'.repeat(200)}a${'}'.repeat(200)}`,
      image: `${'${X:-'.repeat(200)}a${'}'.repeat(200)}`,
    },
    {
      name: 'with operators that change the value stay unexpanded, which is not an image',
      text: 'ARG X=reg.io/a\nFROM ${X%a}',
      image: '${X%a}',
    },
    { name: 'that expand to nothing', text: 'ARG X=\nFROM $X', image: undefined },
    { name: 'for the platform', text: 'FROM reg.io/a:$TARGETARCH', image: 'reg.io/a:amd64' },
    { name: 'that double without limit', text: `ARG A=aaaaaaaaaa\n${'ARG A=$A$A\n'.repeat(40)}FROM $A`, image: '$A' },
    { name: 'with an escaped dollar', text: 'ARG X=1\nFROM reg.io/\\$X', image: 'reg.io/$X' },
    { name: 'named __proto__', text: 'ARG __proto__=reg.io/a\nFROM $__proto__', image: a },
  ])('$name', ({ text, args = {}, image }) => {
    expect(imagesOf(text, args)).toEqual([image]);
  });

  test.each<{ name: string; text: string; args?: Record<string, string | undefined>; now: string | undefined; later: string | undefined }>([
    { name: 'without a value', text: 'ARG T\nFROM reg.io/a$T', now: a, later: undefined },
    { name: 'with a default', text: 'ARG T=:1\nFROM reg.io/a$T', now: 'reg.io/a:1', later: 'reg.io/a:1' },
    {
      name: 'with a value from another argument',
      text: 'ARG T\nFROM reg.io/a$T',
      args: { T: undefined },
      now: undefined,
      later: undefined,
    },
    {
      name: 'with a value from another argument that is not used',
      text: 'ARG T\nFROM reg.io/a${X:+$T}',
      args: { T: undefined },
      now: a,
      later: a,
    },
    {
      name: 'for the platform, with a value',
      text: 'FROM reg.io/a$TARGETVARIANT',
      args: { TARGETVARIANT: ':2' },
      now: 'reg.io/a:2',
      later: 'reg.io/a:2',
    },
  ])('$name: $now in a Build, $later in a BuildConfig', ({ text, args = {}, now, later }) => {
    expect(imagesOf(text, args, false)).toEqual([now]);
    expect(imagesOf(text, args, true)).toEqual([later]);
  });

  test.each([
    { name: 'ENV name=value', text: `FROM ${a}\nENV X=reg.io/b Y=1\nCOPY --from=$X x y`, images: [a, b] },
    { name: 'ENV name value', text: `FROM ${a}\nENV X reg.io/b\nCOPY --from=$X x y`, images: [a, b] },
    // Some versions of imagebuilder expand COPY --from by ARG alone, others by both. All expand a mount by both.
    {
      name: 'ENV and ARG in COPY --from',
      text: `FROM ${a}\nARG X=reg.io/c\nENV X="reg.io/b"\nCOPY --from=$X x y`,
      images: [a, 'reg.io/c', b],
    },
    { name: 'ENV after ARG', text: `FROM ${a}\nARG X=reg.io/no\nENV X=reg.io/b\nRUN --mount=from=$X,target=/x ls`, images: [a, b] },
    { name: 'ENV before ARG', text: `FROM ${a}\nENV X=reg.io/b\nARG X=reg.io/no\nRUN --mount=from=$X,target=/x ls`, images: [a, b] },
    {
      name: 'ENV of the stage it starts from',
      text: `FROM ${a} AS x\nENV X=reg.io/b\nFROM x\nRUN --mount=from=$X,target=/x ls`,
      images: [a, b],
    },
    { name: 'ENV of another stage', text: `FROM ${a}\nENV X=reg.io/no\nFROM ${a}\nCOPY --from=reg.io/b$X x y`, images: [a, a, b] },
    { name: 'ENV not in FROM', text: `FROM ${a}\nENV X=no\nFROM reg.io/b$X`, images: [a, b] },
  ])('$name', ({ text, images }) => {
    expect(imagesOf(text)).toEqual(images);
  });

  test('the env of the build strategy is applied after each FROM, and takes precedence', () => {
    const text = `FROM ${a}\nARG X=reg.io/no\nRUN --mount=from=$X,target=/x ls`;
    const images = imagesIn(text, { ...growing, env: new Map([['X', b]]) });
    expect(images.map(({ image }) => image)).toEqual([a, b]);
    expect(imagesIn(text, { ...growing, env: new Map([['X', undefined]]) }).at(-1)?.image).toBeUndefined();
  });

  test('of a stage and before the first FROM both apply in COPY --from', () => {
    const text = 'ARG X=reg.io/a\nFROM $X\nARG X=reg.io/b\nCOPY --from=$X x y\nFROM $X\nARG X\nRUN --mount=from=$X ls';
    expect(imagesOf(text)).toEqual([a, b, a, a, a]);
  });

  test('that are unresolved keep the original text', () => {
    expect(imagesIn('ARG T\nFROM reg.io/${T}', growing)).toEqual([
      { instruction: 'FROM', line: 2, written: 'reg.io/${T}', image: undefined, lastFrom: true },
    ]);
  });

  test.each([
    ['a tag', 'reg.io/a:$X', a],
    ['the end of a tag', 'reg.io/a:stable${X}', a],
    ['the start of a tag', 'reg.io/a:$X-alpine', a],
    ['two parts of a tag', 'reg.io/a:$X-$X', a],
    ['the tag of a short name', 'busybox:stable${X}', 'busybox'],
    ['the tag of a registry with a port', 'reg.io:5000/a:1.$X', 'reg.io:5000/a'],
    ['a digest', 'reg.io/a@sha256:$X', a],
    ['the rest after a name with a digest', 'reg.io/a:1@$X', a],
  ])('that are only %s leave the image resolved', (_what, written, image) => {
    for (const text of [
      `ARG X\nFROM ${written}`,
      `FROM ${b}\nARG X\nCOPY --from=${written} x y`,
      `FROM ${b}\nARG X\nRUN --mount=from=${written} ls`,
    ])
      expect(imagesIn(text, growing)).toContainEqual(expect.objectContaining({ image, openTag: true }));
  });

  test.each([
    ['more than the tag', 'reg.io/a$X'],
    ['a name and its tag', 'reg.io/$X:1'],
    ['the registry', '$X/a:1'],
    ['the port of a registry', 'reg.io:$X/a'],
    ['the port of a registry, and the tag', 'reg.io:$X/a:$X'],
    ['everything', '$X'],
  ])('that are %s leave the image unresolved', (_what, written) => {
    const [image] = imagesIn(`ARG X\nFROM ${written}`, growing);
    expect([image?.image, image?.openTag]).toEqual([undefined, undefined]);
  });
});

/* From comparing openshift/imagebuilder and moby/buildkit with the assumptions that a Dockerfile reader may make. */
describe('an image cannot hide', () => {
  const evil = 'evil.io/x';
  test.each([
    { name: 'after an escaped here-document', text: `RUN echo \\<<EOF\nFROM ${evil}` },
    { name: 'after a quoted here-document', text: `RUN echo "<<EOF"\nFROM ${evil}` },
    { name: 'after a bit shift', text: `RUN echo $((1<<X))\nFROM ${evil}` },
    { name: 'after a here-document in JSON', text: `RUN ["sh", "-c", "<<EOF"]\nFROM ${evil}` },
    { name: 'after a here-document of an instruction that does not support it', text: `CMD cat <<EOF\nFROM ${evil}` },
    { name: 'after an unterminated here-document', text: `RUN <<EOF\nFROM ${evil}` },
    { name: 'after a here-document that an unclosed quote disables', text: `RUN echo it's <<EOF\nFROM ${evil}` },
    { name: 'in a here-document that older tools parse as instructions', text: `RUN <<#\nFROM ${evil}\n#` },
    { name: 'after a here-document whose end has carriage returns', text: `RUN <<E\nx\nE\r\r\nFROM ${evil}` },
    { name: 'after two escape characters, which not all tools treat as a continuation', text: `RUN x \\\\\nFROM ${evil}` },
    {
      name: 'in the line after two escape characters, which some tools treat as one',
      text: `FROM ${evil}/\\\\\nRUN x`,
      found: [`${evil}/RUN`, `${evil}/\\`],
    },
    {
      name: 'after an escape directive that not all tools support',
      text: `# syntax=x\n# escape=\`\nFROM a.io/a\nRUN x \`\nFROM ${evil}`,
      whole: true,
    },
    { name: 'after the other escape character', text: `# escape=\`\nFROM a.io/a\nRUN x \\\nFROM ${evil}`, whole: true },
    { name: 'after unusual whitespace', text: `\f\u00a0FROM\v${evil}` },
    { name: 'after a byte order mark', text: `\ufeffFROM ${evil}`, whole: true },
    { name: 'after an empty line and a comment in a continuation', text: `RUN x \\\n\n# y\n\nz\nFROM ${evil}` },
    { name: 'after an unset variable', text: `FROM ${evil}$UNSET` },
    { name: 'after a platform variable', text: `FROM ${evil}$TARGETVARIANT` },
    { name: 'in an operator with an error message', text: `FROM \${X:?${evil}}` },
    {
      name: 'after a stage whose name differs in case',
      text: `FROM a.io/b AS Busybox\nCOPY --from=busybox x y`,
      found: ['a.io/b', 'busybox'],
    },
    { name: 'after the number of a stage that does not exist', text: 'COPY --from=7 x y', found: ['7'] },
    { name: 'in an environment variable', text: `ENV X=${evil}\nCOPY --from=$X x y` },
    { name: 'in quotes in a flag', text: `COPY --from='evil.io'"/x" x y` },
    { name: 'in escapes in a flag', text: `COPY --from=evil\\.io/x x y` },
    { name: 'in a field with spaces', text: `RUN --mount=type=bind," from=${evil}" ls` },
    { name: 'in ONBUILD', text: `ONBUILD COPY --from=${evil} x y` },
  ])('$name', ({ text, found = [evil], whole = false }) => {
    const images = imagesOf(whole ? text : `FROM a.io/a\n${text}`, {}, false);
    for (const image of found) expect(images).toContain(image);
  });

  test('as the last FROM if some tool sees another one after it', () => {
    const found = imagesIn(`FROM ${evil}\nRUN x \\\\\nFROM a.io/a`, growing);
    expect(found.map(({ image, lastFrom }) => `${image} ${lastFrom}`)).toEqual([`${evil} false`, 'a.io/a true']);
  });
});

test.each([
  { name: 'one line', text: `FROM a${' '.repeat(300_000)}b` },
  { name: 'flags', text: `FROM a\nCOPY ${'--from=a '.repeat(100_000)}` },
  { name: 'fields', text: `FROM a\nRUN --mount="${' '.repeat(200_000)}x"` },
  { name: 'escape characters', text: `FROM a\nRUN ${'\\ '.repeat(100_000)}x` },
  { name: 'here-documents', text: `FROM a\n${'RUN <<A <<B\nA\nB\n'.repeat(8_000)}` },
  { name: 'variables', text: `FROM a\nRUN <<A ${'${a:-b}'.repeat(300_000)}\nA` },
  { name: 'angle brackets', text: `FROM a\nRUN ${'<'.repeat(200_000)}` },
  { name: 'stages', text: `FROM a AS b\n${'FROM b AS b\n'.repeat(400)}` },
  { name: 'carriage returns', text: `FROM a${'\r'.repeat(200_000)}x` },
])('is found in linear time: $name', ({ text }) => {
  // With quadratic time this would take hours.
  expect(imagesOf(text).length).toBeGreaterThan(0);
});

describe('a Dockerfile that would be too expensive is rejected with the reason', () => {
  test.each(hostileDockerfiles.map((each) => ({ ...each, spec: each.build().spec })))('$name', ({ spec, message }) => {
    let expanded = 0;
    const args = new Map(spec.strategy.dockerStrategy.buildArgs.map(({ name, value }) => [name, value]));
    const work = {
      count: (what: string, amount: number) => {
        if (what === 'expanded') expanded += amount;
      },
    };
    const found = readDockerfileImages(spec.source.dockerfile, { args, mayGrow: true }, work);
    expect(spec.source.dockerfile.length).toBeLessThanOrEqual(131_072);
    // The limit may be exceeded by one word, and by its expansion of at most 4,096 characters.
    expect(expanded).toBeLessThanOrEqual(maxExpanded + 2 * 131_072);
    if (Array.isArray(found)) expect(found.map(({ image }) => image)).toContain('evil.example.com/x');
    else expect(`spec.source.dockerfile ${found.why}`).toMatch(message);
  });

  test('with as many images as are allowed it is parsed', () => {
    expect(imagesOf(`FROM ${a}\n`.repeat(maxImages))).toHaveLength(maxImages);
    expect(() => imagesOf(`FROM ${a}\n`.repeat(maxImages + 1))).toThrow(
      `references images in more than ${maxImages} places. Copy from one stage instead of repeating the image`,
    );
  });
});

test('lines are counted from one, and the last FROM is identified', () => {
  const found = imagesIn(`# x\nFROM ${a} AS s\n\nFROM ${b}\nCOPY --from=${a} x y`, growing);
  expect(found.map(({ instruction, line, lastFrom }) => `${instruction} ${line} ${lastFrom}`)).toEqual([
    'FROM 2 false',
    'FROM 4 true',
    'COPY --from 5 false',
  ]);
});

test('a Dockerfile that was parsed before has the same result, but only with the same variables', { timeout: propertyTimeout }, () => {
  const lines = fc.constantFrom('ARG a', 'ARG b=x', 'FROM $a', 'FROM ${b}', 'FROM reg.io/y AS s', 'COPY --from=s x y', 'COPY --from=${a}');
  const variables = fc
    .dictionary(fc.constantFrom('a', 'b', '"'), fc.constantFrom('reg.io/a', 'reg.io/b', 'null', '', undefined))
    .map((each) => new Map(Object.entries(each)));
  const context = fc.record(
    { args: variables, env: variables, mayGrow: fc.boolean(), continued: fc.boolean() },
    { requiredKeys: ['args', 'mayGrow'] },
  );
  const reading = fc.tuple(
    fc.array(lines, { maxLength: 5 }).map((each) => each.join('\n')),
    fc.array(context, { minLength: 1, maxLength: 4 }),
  );
  fc.assert(
    fc.property(reading, ([text, contexts]) => {
      for (const each of [...contexts, ...contexts]) expect(readDockerfileImages(text, each)).toEqual(readUncached(text, each));
    }),
    runs(1_500),
  );
});

test('no text makes the parser throw', () => {
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
    fc.property(text, (dockerfile) => void imagesIn(dockerfile, { args: new Map([['a', 'b']]), mayGrow: false })),
    runs(1500),
  );
});

test.each<[string, string, (string | undefined)[]]>([
  ['the current stage', 'FROM a.io/x AS own\nCOPY --from=own /x /x', [undefined, 'not-earlier']],
  ['a later stage', 'FROM a.io/x\nCOPY --from=later /x /x\nFROM a.io/y AS later', [undefined, 'not-earlier', undefined]],
  ['the number of the current stage', 'FROM a.io/x\nCOPY --from=0 /x /x', [undefined, 'not-earlier']],
  ['no stage at all', 'FROM a.io/x\nCOPY --from=b.io/y /x /x\nCOPY --from=7 /x /x', [undefined, undefined, undefined]],
  ['a stage that only a variable names', 'ARG Q=p\nFROM a.io/x AS b-p\nFROM b-$Q', [undefined, 'skipped']],
  ['a number outside COPY', 'FROM a.io/x\nFROM a.io/y\nRUN --mount=from=0,target=/x x', [undefined, undefined, 'number']],
  ['a name that is not a stage for BuildKit', 'FROM a.io/x AS b/c\nFROM b/c', [undefined, 'not-a-name']],
  ['a different case', 'FROM a.io/x AS BASE\nFROM a.io/y\nCOPY --from=base /x /x', [undefined, undefined, 'other-letters']],
])('an image with the name of a stage is marked as such: %s', (_what, text, expected) => {
  expect(imagesIn(text, { args: new Map(), mayGrow: true }).map(({ stage }) => stage)).toEqual(expected);
});

function imagesOf(text: string, args: Record<string, string | undefined> = {}, mayGrow = true): (string | undefined)[] {
  return imagesIn(text, { args: new Map(Object.entries(args)), mayGrow }).map(({ image }) => image);
}

function imagesIn(text: string, context: DockerfileContext): readonly DockerfileImage[] {
  const images = readDockerfileImages(text, context);
  if (!Array.isArray(images)) throw new Error(images.why);
  return images;
}
