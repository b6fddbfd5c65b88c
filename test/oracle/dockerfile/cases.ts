// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are the variables of Dockerfiles
/** Handwritten Dockerfiles, each with a way in which an image was or could be missed. */
import type { Case } from './generate.ts';

export type NamedCase = Case & { readonly name: string };

const row = (name: string, dockerfile: string, more: Partial<Case> = {}): NamedCase => ({ name, dockerfile, args: {}, env: {}, ...more });

/** Words that are nested deeper, and are longer, than regkeeper follows. The tools have no such limits. */
const deep = (text: string) => `${'${A:-'.repeat(40)}${text}${'}'.repeat(40)}`;
const long = (text: string) => `${'ro,'.repeat(1400)}${text}`;
const mount = 'RUN --mount=type=bind,from=good.io/c,target=/m';

export const cases: readonly NamedCase[] = [
  row('a mount with a variable that is too long', `FROM good.io/a\nARG L=${long('from=evil.io/b')}\n${mount},$L true\n`),
  row('a mount with a word that is too deep', `FROM good.io/a\n${mount},${deep('from=evil.io/b')} true\n`),
  row('a mount with a value that is too deep', `FROM good.io/a\nARG Y='${deep('evil.io/b')}'\n${mount},from=$Y true\n`),
  row('a mount of ONBUILD that is too deep', `FROM good.io/a AS s\nONBUILD ${mount},${deep('from=evil.io/b')} true\nFROM s\n`),
  row('the own name of a stage in COPY --from', 'FROM good.io/a AS evil.io/payload\nCOPY --from=evil.io/payload /x /x\n'),
  row(
    'the own name of a stage in RUN --mount',
    'FROM good.io/a AS evil.io/payload\nRUN --mount=type=bind,from=evil.io/payload,target=/m true\n',
  ),
  row('the own name of a stage, of one segment', 'FROM good.io/a AS payload\nCOPY --from=payload /x /x\n'),
  row('the own number of a stage', 'FROM good.io/a AS evil.io/payload\nCOPY --from=0 /x /x\n'),
  row('the number of a later stage', 'FROM good.io/a\nCOPY --from=1 /x /x\nFROM good.io/a AS evil.io/payload\n'),
  row('the name of an earlier stage that is also the own', 'FROM good.io/a AS one\nFROM good.io/a AS one\nCOPY --from=one /x /x\n'),
  row('the name of a later stage', 'FROM good.io/a\nCOPY --from=one /x /x\nFROM good.io/a AS one\n'),
  row('an earlier stage', 'FROM good.io/a AS one\nFROM good.io/a\nCOPY --from=one /x /x\nCOPY --from=0 /x /x\n'),
  row(
    'a number in RUN --mount',
    'FROM good.io/a AS one\nFROM good.io/a\nRUN --mount=type=bind,from=0,target=/m true\nCOPY --from=one / /\n',
  ),
  row('a number in FROM', 'FROM good.io/a AS one\nFROM 0\n'),
  row('ENV before ARG', 'FROM good.io/a\nENV Y=evil.io/b\nARG Y=good.io/c\nRUN --mount=type=bind,from=$Y,target=/m true\n'),
  row('ENV after ARG', 'FROM good.io/a\nARG Y=good.io/c\nENV Y=evil.io/b\nRUN --mount=type=bind,from=$Y,target=/m true\n'),
  row('ENV and ARG in COPY --from', 'FROM good.io/a\nENV Y=good.io/c\nARG Y=evil.io/b\nCOPY --from=$Y /x /x\n'),
  row(
    'ENV of the stage that a stage begins with',
    'FROM good.io/a AS one\nENV Y=evil.io/b\nFROM one\nARG Y=good.io/c\nRUN --mount=type=bind,from=$Y,target=/m true\n',
  ),
  row('ARG of the stage that a stage begins with', 'FROM good.io/a AS one\nARG Y=evil.io/b\nFROM one\nCOPY --from=$Y /x /x\n'),
  row('the ARG of the head in COPY --from', 'ARG Y=evil.io/b\nFROM good.io/a\nCOPY --from=$Y /x /x\n'),
  row('a build argument in COPY --from', 'ARG Y\nFROM good.io/a\nCOPY --from=$Y /x /x\n', { args: { Y: 'evil.io/b' } }),
  row('an ONBUILD that a later stage carries out', 'FROM good.io/a AS one\nONBUILD COPY --from=evilshort / /\nFROM one\n'),
  row('an ONBUILD in RUN --mount', 'FROM good.io/a AS one\nONBUILD RUN --mount=type=bind,from=evilshort,target=/m true\nFROM one\n'),
  row(
    'an ONBUILD that sets a variable',
    'FROM good.io/a AS one\nONBUILD ENV Y=evil.io/b\nFROM one\nARG Y=good.io/c\nRUN --mount=type=bind,from=$Y,target=/m true\n',
  ),
  row('a variable that is a whole mount', 'FROM good.io/a\nARG M=type=bind,from=evil.io/b,target=/m\nRUN --mount=$M true\n'),
  row('a variable that is a whole flag', 'FROM good.io/a\nARG M=mount=type=bind,from=evil.io/b,target=/m\nRUN --$M true\n'),
  row('a variable in the name of an ENV', 'FROM good.io/a\nARG N=Y\nENV $N=evil.io/b\nRUN --mount=type=bind,from=$Y,target=/m true\n'),
  row('a variable in the name of an ARG', 'ARG N=Y\nARG $N=evil.io/b\nFROM $Y\n'),
  row('a value that is expanded twice', 'FROM good.io/a\nARG Y=evil.io/b\nARG X=\\$Y\nRUN --mount=type=bind,from=$X,target=/m true\n'),
  row('two ARGs of one line', 'ARG X=evil.io\nARG X=good.io Y=$X/a\nFROM $Y\n'),
  row('a proxy, which needs no ARG', 'FROM $HTTP_PROXY\n', { args: { HTTP_PROXY: 'evil.io/b' } }),
  row('a proxy in COPY --from', 'FROM good.io/a\nCOPY --from=$http_proxy / /\n', { args: { http_proxy: 'evil.io/b' } }),
  row('a stage that is left out', 'FROM good.io/a AS one\nFROM good.io/a\nARG X=one\nCOPY --from=$X / /\n'),
  row('a stage that is left out, as a base', 'ARG X=one\nFROM good.io/a AS one\nFROM $X\n'),
  row(
    'a stage that only a stage that is left out uses',
    'FROM good.io/a AS one\nFROM good.io/a AS debug\nCOPY --from=one / /\nFROM good.io/a\n',
  ),
  row('the env of the build strategy', 'FROM good.io/a\nARG Y=good.io/c\nRUN --mount=type=bind,from=$Y,target=/m true\n', {
    env: { Y: 'evil.io/b' },
  }),
  row('the env of the build strategy, by a variable', 'FROM good.io/a\nARG Z=evil.io\nRUN --mount=type=bind,from=$Y,target=/m true\n', {
    env: { Y: '$Z/b' },
  }),
  row('variables of the build strategy, which are one ENV line', 'FROM good.io/a\nRUN --mount=type=bind,from=evil.io/$X,target=/m true\n', {
    env: { Y: 'b', X: '${Y:-c}' },
  }),
  row(
    'a variable of the build strategy that has the name of a proxy',
    'FROM good.io/a\nRUN --mount=type=bind,from=evil.io/$X,target=/m true\n',
    {
      env: { HTTP_PROXY: "'q'", X: '${HTTP_PROXY:?1}' },
    },
  ),
  row('a flag that is two when it is written out again', 'FROM good.io/a\nCOPY --chown="1 --from=evil.io/b" /x /y\n'),
  row('a flag with an escaped blank', 'FROM good.io/a\nCOPY --chown=1\\ --from=evil.io/b /x /y\n'),
  row('flags behind the end of flags', 'FROM good.io/a\nCOPY -- --from=evil.io/b /x /y\n'),
  row('a mount behind the end of flags', 'FROM good.io/a\nRUN -- --mount=type=bind,from=evil.io/b,target=/m true\n'),
  row('a platform that holds an image', 'FROM --platform="linux/amd64 evil.io/b AS" good\n'),
  row('a flag that only looks like --from', 'FROM good.io/a\nCOPY --x--from=evil.io/b / /\n'),
  row('a value of the platform that an ARG changes', 'ARG TARGETARCH=evil.io/b\nFROM $TARGETARCH\n'),
  row('scratch', 'FROM scratch\nCOPY --from=good.io/a / /\n'),
  row('an image with a transport', 'FROM docker://evil.io/b\n'),
];
