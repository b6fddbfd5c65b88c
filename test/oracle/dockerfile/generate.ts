/** Generates random Dockerfiles from syntax that the tools read in different ways. The same seed gives the same file. */

export type Case = {
  readonly dockerfile: string;
  readonly args: Readonly<Record<string, string>>;
  readonly env: Readonly<Record<string, string>>;
};

/** Every seventh file also has words beyond the limits of our reader. The tools have no such limits. */
export function generate(seed: number): Case {
  const generated = generateWithinLimits(seed);
  return seed % 7 === 0 ? addWordsBeyondLimits(generated, seed) : generated;
}

function generateWithinLimits(seed: number): Case {
  const { pick, chance, times } = randomFrom(seed);
  // Every third file is one that BuildKit accepts too. It rejects most of the others at once.
  const tidy = chance(0.35);

  const variable = () => pick(['X', 'Y', 'Z', 'X', 'Y', 'TARGETARCH', 'HTTP_PROXY', 'N']);
  const stageNames = tidy
    ? ['one', 'two', 'Three', 'short', 'a-b', 'busybox']
    : ['one', 'two', 'Three', 'evil.io/s', 'short', '1', 'a-b', 'x:1'];
  const images = ['good.io/a', 'evil.io/b', 'evil.io/p:1', 'short', 'busybox', 'good.io/c:2', 'scratch', ...stageNames];
  const numbers = ['0', '1', '2', '3', '+1', '01', '-1'];
  const use = (): string => {
    const name = variable();
    return pick([
      () => `$${name}`,
      () => `\${${name}}`,
      () => `\${${name}:-${plain()}}`,
      () => `\${${name}:+${plain()}}`,
      () => `\${${name}-${plain()}}`,
      () => `\${${name}:-$${variable()}}`,
      () => `\${${name}:?${plain()}}`,
    ])();
  };
  const plain = () => pick(images);
  /** The image or stage of COPY --from and of mounts. */
  const source = (): string => (tidy ? pick([plain, plain, plain, () => pick(['0', '0', '1'])])() : word());
  const word = (): string =>
    pick([
      plain,
      plain,
      plain,
      use,
      use,
      use,
      () => pick(numbers),
      () => `"${plain()}"`,
      () => `'${plain()}'`,
      () => `"${use()}"`,
      () => `'${use()}'`,
      () => `\\${use()}`,
      () => `evil.io/${use()}`,
      () => `${plain()}${use()}`,
      () => plain().replace('.', '\\.'),
      () => '',
    ])();
  const value = (): string =>
    pick([word, word, () => `type=bind,from=${plain()},target=/m`, () => `from=${plain()}`, () => `$${variable()}`])();
  const arg = () => {
    const one = () =>
      pick([() => variable(), () => `${variable()}=${value()}`, () => `${variable()}=${value()}`, () => `$${variable()}=${word()}`])();
    return `${pick(['ARG', 'ARG', 'arg'])} ${times(1, 2, one).join(' ')}`;
  };
  const env = () =>
    pick([
      () => `ENV ${variable()}=${value()}`,
      () => `ENV ${variable()}=${value()} ${variable()}=${value()}`,
      () => `ENV ${variable()} ${word()}`,
      () => `ENV $${variable()}=${word()}`,
    ])();
  const copy = () => {
    const flag = pick([
      () => `--from=${source()}`,
      () => `--from=${source()}`,
      () => `--from=${source()}`,
      () => `--chown=1 --from=${source()}`,
      () => `"--from=${source()}"`,
      ...(tidy ? [] : [() => `--$${variable()}`]),
      ...(tidy ? [] : [() => `--chown="1 --from=${source()}"`, () => `--chown=1\\ --from=${plain()}`]),
      ...(tidy ? [] : [() => `-- --from=${source()}`, () => `--link --from=${source()} --from=${source()}`]),
    ])();
    return `${pick(['COPY', 'COPY', 'copy', 'ADD'])} ${flag} ${pick(['/x /y', '["/x", "/y"]', '<<EOF /y\nFROM evil.io/heredoc\nEOF'])}`;
  };
  const run = () => {
    const mount = pick([
      () => `--mount=type=bind,from=${source()},target=/m`,
      () => `--mount=type=bind,from=${source()},target=/m`,
      () => `--mount=from=${source()},target=/m`,
      () => `--mount=type=cache,target=/c,from=${source()}`,
      ...(tidy ? [] : [() => `--mount=$${variable()}`, () => `--$${variable()}`]),
      () => `--mount=type=bind,"from=${plain()}",target=/m`,
      ...(tidy ? [] : [() => `--network="none --mount=type=bind,from=${plain()},target=/m"`]),
      () => `--mount=type=bind,from=${plain()},target=/m --mount=type=bind,from=${source()},target=/n`,
      ...(tidy ? [] : [() => `-- --mount=type=bind,from=${plain()},target=/m`]),
      () => `--mount=type=bind,From=${plain()},target=/m`,
    ])();
    return `${pick(['RUN', 'RUN', 'run'])} ${mount} ${pick(['true', '["true"]', 'true \\\n && true', '<<EOF\nFROM evil.io/heredoc\nEOF', 'true \\\n# FROM evil.io/comment\n x'])}`;
  };
  const plainLine = () =>
    pick([
      () => 'RUN true',
      () => `LABEL a=${plain()}`,
      () => `# FROM ${plain()}`,
      () => '',
      () => `RUN <<A\nFROM ${plain()}\nA`,
      () => `RUN echo \\<<A\nENV X=${plain()}`,
      () => `RUN echo x \\\\\nENV X=${plain()}`,
      () => `WORKDIR ${use()}`,
      () => `RUN echo "<<A"\nCOPY --from=${plain()} / /`,
    ])();
  const onbuild = () => `ONBUILD ${pick([copy, copy, run, arg, env])()}`;
  const body = () => pick([arg, arg, env, env, copy, copy, copy, run, run, run, onbuild, onbuild, plainLine])();
  const from = () => {
    const base = pick([word, plain, plain, use, () => pick(stageNames)])();
    const as = chance(0.6)
      ? ` ${pick(['AS', 'as'])} ${pick([() => pick(stageNames), () => (tidy ? pick(stageNames) : use()), () => pick(stageNames)])()}`
      : '';
    return `${pick(['FROM', 'FROM', 'from'])} ${chance(0.1) ? pick(['--platform=$BUILDPLATFORM ', '--platform="linux/amd64 evil.io/f" ']) : ''}${base}${as}`;
  };
  const lines = [
    ...(chance(0.1) ? [pick(['# escape=`', '# syntax=x\n# escape=`', '# escape=\\'])] : []),
    ...times(0, 3, arg),
    ...times(1, 4, () => [from(), ...times(0, 4, body)].join('\n')),
  ];
  const variables = () => Object.fromEntries(times(0, 2, () => [variable(), word()]));
  return { dockerfile: `${lines.join('\n')}\n`, args: chance(0.5) ? variables() : {}, env: chance(0.15) ? variables() : {} };
}

/** Inserts lines after a FROM, each with a visible image and one that is hidden in a long or deeply nested word. */
function addWordsBeyondLimits(original: Case, seed: number): Case {
  // A separate random sequence, so that the rest of the file stays the same for this seed.
  const { pick, times } = randomFrom(~seed);
  const trusted = () => pick(['good.io/a', 'good.io/c:2', 'one', 'short', '0']);
  const hidden = () => pick(['evil.io/b', 'evil.io/p:1', 'busybox']);
  const nesting = () => 31 + times(0, 9, () => 0).length;
  const deep = (text: string, levels = nesting()) => `${'${NEVERSET:-'.repeat(levels)}${text}${'}'.repeat(levels)}`;
  const long = (text: string) => `${'ro,'.repeat(1_350 + times(0, 40, () => 0).length)}${text}`;
  const lines = () =>
    pick([
      () => `RUN --mount=type=bind,from=${trusted()},target=/m,${deep(`from=${hidden()}`)} true`,
      () => `RUN --mount=type=bind,from=${trusted()},target=/m,${long(`from=${hidden()}`)} true`,
      () => `ARG L=${long(`from=${hidden()}`)}\nRUN --mount=type=bind,from=${trusted()},target=/m,$L true`,
      () => `ENV L=${long(`from=${hidden()}`)}\nRUN --mount=$L,from=${trusted()} true`,
      () => `ARG Y='${deep(hidden())}'\nRUN --mount=type=bind,from=${trusted()},target=/m,from=$Y true`,
      () => `ARG Y=${deep(hidden())}\nRUN --mount=type=bind,from=${trusted()},target=/m --mount=type=bind,from=$Y,target=/n true`,
      () => `COPY --from=${deep(hidden())} --from=${trusted()} / /`,
      () => `COPY --from=${trusted()} --from=${deep(hidden())} / /`,
      () => `ONBUILD RUN --mount=type=bind,from=${trusted()},target=/m,${deep(`from=${hidden()}`)} true`,
      () => `ENV L=${'x'.repeat(4_200)}\nRUN --mount=type=bind,from=${trusted()},target=/m,\${L:+from=${hidden()}} true`,
      () => `ARG L=${'x'.repeat(4_200)}\nCOPY --from=\${L:+${hidden()}} / /`,
    ])();
  const written = original.dockerfile.split('\n');
  // Not inside a here-document or a comment.
  const froms = written.flatMap((line, index) => (/^from\s(?!evil\.io\/(?:heredoc|comment))/i.test(line) ? [index] : []));
  written.splice((froms.length === 0 ? written.length : pick(froms)) + 1, 0, ...times(1, 2, lines));
  return { ...original, dockerfile: written.join('\n') };
}

function randomFrom(seed: number) {
  // mulberry32: small, fast, and the same on every platform.
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
  const pick = <Item>(items: readonly Item[]): Item => items[Math.floor(next() * items.length)] as Item;
  const chance = (probability: number) => next() < probability;
  const times = <Item>(least: number, most: number, make: () => Item): Item[] =>
    Array.from({ length: least + Math.floor(next() * (most - least + 1)) }, make);
  return { pick, chance, times };
}
