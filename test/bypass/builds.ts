/** Attacks with builds, inline Dockerfiles and image streams. */
import { type Attack, evil, good } from './attack.ts';

const docker = (name: string) => ({ kind: 'DockerImage', name });
const wouldPull = 'the build would pull it';
const wouldPush = 'the build would push there';
const both = (attack: string, spec: object, more: Omit<Attack, 'attack' | 'object' | 'kind'>): Attack[] =>
  ['BuildConfig', 'Build'].map((kind) => ({ attack: `${attack}, in a ${kind}`, kind, object: { spec }, ...more }));
const s2i = (from: object, more: object = {}) => ({
  source: { type: 'Git', git: { uri: 'https://git.example.com/x' } },
  strategy: { type: 'Source', sourceStrategy: { from } },
  ...more,
});
const dockerfile = (text: string, more: object = {}) => ({
  source: { type: 'Dockerfile', dockerfile: text },
  strategy: { type: 'Docker', dockerStrategy: more },
});
const hidden = (attack: string, text: string, more: object = {}) =>
  both(attack, dockerfile(text, more), { right: 'denied', why: wouldPull, secrets: ['good-pull'] });

/** Words that are nested deeper, and are longer, than the Dockerfile reader follows. */
const deep = (text: string) => `${'${A:-'.repeat(40)}${text}${'}'.repeat(40)}`;
const long = (text: string) => `${'ro,'.repeat(1400)}${text}`;
const mount = `RUN --mount=type=bind,from=${good},target=/x`;

export const builds: readonly Attack[] = [
  ...hidden('behind a trusted one in a mount whose variable is too long', `FROM ${good}\nARG L=${long(`from=${evil}`)}\n${mount},$L true`),
  ...hidden('behind a trusted one in a mount that is too deep', `FROM ${good}\n${mount},${deep(`from=${evil}`)} true`),
  ...hidden('behind a trusted one in a mount, in a value that is too deep', `FROM ${good}\nARG Y='${deep(evil)}'\n${mount},from=$Y true`),
  ...hidden(
    'behind a trusted one in a mount of ONBUILD that is too deep',
    `FROM ${good} AS s\nONBUILD ${mount},${deep(`from=${evil}`)} true\nFROM s`,
  ),
  ...hidden('behind a trusted one in COPY --from that is too deep', `FROM ${good}\nCOPY --from=${good} --from=${deep(evil)} a b`),
  ...hidden('in a FROM that is too deep', `FROM ${good}\nFROM ${deep(evil)}`),
  ...both('an unknown base', s2i(docker(evil)), { right: 'denied', why: wouldPull }),
  ...both('an unknown output', s2i(docker(good), { output: { to: docker(evil) } }), {
    right: 'denied',
    why: wouldPush,
    secrets: ['good-pull'],
  }),
  ...both(
    'an unknown custom builder',
    { strategy: { type: 'Custom', customStrategy: { from: docker(evil) } } },
    { right: 'denied', why: wouldPull },
  ),
  ...both(
    'an unknown image whose files are copied',
    s2i(docker(good), { source: { images: [{ from: docker(evil), paths: [{ sourcePath: '/x', destinationDir: 'x' }] }] } }),
    { right: 'denied', why: wouldPull, secrets: ['good-pull'] },
  ),
  ...both(
    'an unknown image that replaces a name',
    { ...dockerfile(`FROM ${good}`), source: { dockerfile: `FROM ${good}`, images: [{ from: docker(evil), as: [good] }] } },
    { right: 'denied', why: wouldPull },
  ),
  ...both('the kind of a reference in lower case', s2i({ kind: 'dockerimage', name: evil }), {
    right: 'allowed',
    why: 'the API server rejects such a kind; it would be a stream of that name, which is evaluated when it is used',
    notOnCluster: 'the CRD rejects such a kind',
  }),
  ...both(
    'a trusted Dockerfile as a decoy next to the path of another one in the repository',
    {
      source: { type: 'Git', git: { uri: 'https://git.example.com/x' }, dockerfile: `FROM ${good}` },
      strategy: { type: 'Docker', dockerStrategy: { dockerfilePath: 'evil/Dockerfile' } },
    },
    { right: 'allowed', why: 'it is a build whose Dockerfile cannot be seen, like any from Git, and is reported as one' },
  ),
  ...['Dockerfile', './Dockerfile', 'a/../Dockerfile', '/Dockerfile', 'Dockerfile/.', '.', './', 'a/..'].flatMap((dockerfilePath) =>
    hidden(`in a Dockerfile whose path is ${dockerfilePath}, which is that of the text`, `FROM ${evil}\nFROM ${good}`, { dockerfilePath }),
  ),
  ...hidden('behind an escaped here-document', `FROM ${good}\nRUN echo \\<<EOF\nFROM ${evil}`),
  ...hidden('behind two backslashes', `FROM ${good}\nRUN x \\\\\nFROM ${evil}`),
  ...hidden('behind a form feed', `FROM ${good}\n\fFROM ${evil}`),
  ...hidden('behind an unset variable', `FROM ${good}\nFROM ${evil}$UNSET`),
  ...hidden('behind a variable of the platform', `FROM ${good} AS x\nCOPY --from=evil.example.com/x$TARGETVARIANT a b`),
  ...hidden('in a variable expansion that not all tools support', `ARG X=aevil.example.com/x\nFROM ${good}\nFROM \${X#a}`),
  ...hidden('in COPY --from', `FROM ${good}\nCOPY --from=${evil} a b`),
  ...hidden('in RUN --mount', `FROM ${good}\nRUN --mount=type=bind,from=${evil},target=/x true`),
  ...hidden('in a stage that is not the last', `FROM ${evil} AS tools\nFROM ${good}\nCOPY --from=tools a b`),
  ...hidden('behind the name of the current stage', `FROM ${good} AS ${evil}\nCOPY --from=${evil} a b`),
  ...hidden(
    'behind the name of the current stage, in a mount',
    `FROM ${good} AS ${evil}\nRUN --mount=type=bind,from=${evil},target=/x true`,
  ),
  ...hidden('behind the number of the current stage', `FROM ${good} AS ${evil}\nCOPY --from=0 a b`),
  ...hidden('behind the name of an earlier stage', `FROM ${good} AS ${evil}\nFROM ${good}\nCOPY --from=${evil} a b`),
  ...hidden(
    'in ENV before an ARG with that name',
    `FROM ${good}\nENV Y=${evil}\nARG Y=${good}\nRUN --mount=type=bind,from=$Y,target=/x true`,
  ),
  ...hidden('in ARG next to an ENV with that name', `FROM ${good}\nARG Y=${evil}\nENV Y=${good}\nCOPY --from=$Y a b`),
  ...hidden(
    'in ENV of the stage that a stage starts from',
    `FROM ${good} AS x\nENV Y=${evil}\nFROM x\nRUN --mount=type=bind,from=$Y,target=/x true`,
  ),
  ...hidden('in the env of the build strategy', `FROM ${good}\nARG Y=${good}\nRUN --mount=type=bind,from=$Y,target=/x true`, {
    env: [{ name: 'Y', value: evil }],
  }),
  ...hidden('in a proxy', 'FROM good.example.com/app:1\nFROM $HTTP_PROXY', { buildArgs: [{ name: 'HTTP_PROXY', value: evil }] }),
  ...hidden('in a variable that contains a whole mount', `FROM ${good}\nARG M=type=bind,from=${evil},target=/x\nRUN --mount=$M true`),
  ...hidden('in a variable that contains a whole flag', `FROM ${good}\nARG M=mount=type=bind,from=${evil},target=/x\nRUN --$M true`),
  ...hidden(
    'in a variable whose name is a variable',
    `FROM ${good}\nARG N=Y\nENV $N=${evil}\nRUN --mount=type=bind,from=$Y,target=/x true`,
  ),
  ...hidden('in a value that is expanded twice', `FROM ${good}\nARG Y=${evil}\nARG X=\\$Y\nRUN --mount=type=bind,from=$X,target=/x true`),
  ...hidden('in an ONBUILD that a later stage executes', `FROM ${good} AS x\nONBUILD COPY --from=evilshort a b\nFROM x`),
  ...hidden('in a flag that expands to two', `FROM ${good}\nCOPY --chown="1 --from=${evil}" a b`),
  ...hidden('behind the end of flags', `FROM ${good}\nRUN -- --mount=type=bind,from=${evil},target=/x true`),
  ...hidden('as the id of a local image', `FROM ${good}\nFROM sha256:a5`),
  ...both(
    'as an ONBUILD that the stage of a post-commit hook executes',
    { ...dockerfile(`FROM ${good}\nONBUILD COPY --from=evilshort a b`), postCommit: { script: 'true' } },
    { right: 'denied', why: wouldPull, secrets: ['good-pull'] },
  ),
  ...both(
    'in a mount whose name is replaced by another image, which applies to FROM and COPY only',
    {
      ...dockerfile(`FROM ${good}\nRUN --mount=type=bind,from=${evil},target=/x true`),
      source: {
        dockerfile: `FROM ${good}\nRUN --mount=type=bind,from=${evil},target=/x true`,
        images: [{ from: docker(good), as: [evil] }],
      },
    },
    { right: 'denied', why: wouldPull, secrets: ['good-pull'] },
  ),
  ...both(
    'in a variable whose value is replaced by another image, which applies to literal names only',
    {
      ...dockerfile(''),
      source: { dockerfile: `ARG X=${evil}\nFROM ${good}\nFROM $X`, images: [{ from: docker(good), as: [evil] }] },
    },
    { right: 'denied', why: wouldPull, secrets: ['good-pull'] },
  ),
  ...hidden('in ENV', `FROM ${good}\nENV X=${evil}\nCOPY --from=$X a b`),
  ...hidden('in a build argument', `ARG X=${good}\nFROM ${good}\nFROM $X`, { buildArgs: [{ name: 'X', value: evil }] }),
  ...hidden('in the default of a build argument', `ARG X=${evil}\nFROM ${good}\nFROM $X`),
  ...hidden('in a stage whose name differs in case', `FROM ${good} AS Nginx\nCOPY --from=nginx a b`),
  ...both('as a FROM that the base replaces', dockerfile(`FROM ${evil}`, { from: docker(good) }), {
    right: 'allowed',
    why: 'the builder replaces it with the base',
    secrets: ['good-pull'],
  }),
  ...both(
    'as a FROM that the base replaces only for some tools',
    dockerfile(`FROM ${evil}\nRUN x \\\\\nFROM ${good}`, { from: docker(good) }),
    {
      right: 'denied',
      why: wouldPull,
      secrets: ['good-pull'],
    },
  ),
  {
    attack: 'a build argument without a value, which is set later',
    kind: 'BuildConfig',
    object: { spec: dockerfile(`ARG X\nFROM ${good}\nFROM $X`) },
    right: 'allowed',
    why: 'the Build has the value, and is evaluated',
  },
  {
    attack: 'a build argument without a value that can only be the tag',
    kind: 'BuildConfig',
    object: { spec: dockerfile(`ARG X\nFROM ${good}\nFROM evil.example.com/app:stable$X`) },
    right: 'denied',
    why: 'whatever the tag, it is that repository',
    secrets: ['good-pull'],
  },
  {
    attack: 'a build argument without a value that can only be the digest, in COPY --from',
    kind: 'BuildConfig',
    object: { spec: dockerfile(`FROM ${good}\nARG X\nCOPY --from=evil.example.com/app@$X a b`) },
    right: 'denied',
    why: 'whatever the digest, it is that repository',
    secrets: ['good-pull'],
  },
  {
    attack: 'a build argument without a value, in a Build',
    kind: 'Build',
    object: { spec: dockerfile(`ARG X\nFROM ${evil}$X`) },
    right: 'denied',
    why: 'it expands to nothing, and the rest is the image',
  },
  {
    attack: 'a different base in the request for a build',
    kind: 'BuildRequest',
    object: { triggeredByImage: docker(evil) },
    right: 'denied',
    why: wouldPull,
    notOnCluster: 'CRDs have no such subresource',
  },
  {
    attack: 'a Build created directly, bypassing its BuildConfig',
    kind: 'Build',
    object: { spec: s2i(docker(evil)) },
    right: 'denied',
    why: wouldPull,
  },
  {
    attack: 'a forged mark, so that a secret is treated as ours and changed',
    kind: 'BuildConfig',
    object: {
      metadata: {
        annotations: { 'regkeeper.io/injected': '{"spec.strategy.sourceStrategy.pullSecret":"admin","spec.output.pushSecret":"admin"}' },
      },
      spec: s2i(docker(evil)),
    },
    right: 'denied',
    why: wouldPull,
  },
  {
    attack: 'an unknown image in a stream',
    kind: 'ImageStream',
    object: { spec: { tags: [{ name: '1', from: docker(evil) }] } },
    right: 'denied',
    why: 'it would be imported, and served under the internal registry’s name',
  },
  {
    attack: 'an unknown image in a stream that is kept in the cluster',
    kind: 'ImageStream',
    object: { spec: { tags: [{ name: '1', from: docker(evil), referencePolicy: { type: 'Local' } }] } },
    right: 'denied',
    why: 'it would be served under the internal registry’s name',
  },
  {
    attack: 'an unknown repository in a stream',
    kind: 'ImageStream',
    object: { spec: { dockerImageRepository: 'evil.example.com/app' } },
    right: 'denied',
    why: 'all its tags would be imported',
  },
  {
    attack: 'an insecure import, with insecure as a string',
    kind: 'ImageStreamImport',
    object: { spec: { import: true, images: [{ from: docker(evil), importPolicy: { insecure: 'true' } }] } },
    right: 'denied',
    why: 'it would be imported',
  },
  {
    attack: 'an import that is not only a query, with import as a string',
    kind: 'ImageStreamImport',
    object: { spec: { import: 'false', images: [{ from: docker(evil) }] } },
    right: 'denied',
    why: 'it is only a query if the value is false or absent',
  },
  {
    attack: 'an import that only queries',
    kind: 'ImageStreamImport',
    object: { spec: { import: false, images: [{ from: docker(evil), to: { name: '1' } }] } },
    right: 'allowed',
    why: 'it stores nothing',
  },
  {
    attack: 'an unknown image in the status of a stream',
    kind: 'ImageStream',
    subresource: 'status',
    oldObject: { spec: { tags: [{ name: '1', from: docker(good), referencePolicy: { type: 'Local' } }] } },
    object: {
      spec: { tags: [{ name: '1', from: docker(good), referencePolicy: { type: 'Local' } }] },
      status: { tags: [{ tag: '1', items: [{ image: 'sha256:1', dockerImageReference: evil }] }] },
    },
    right: 'denied',
    why: 'builds would use it from there, and it would be served under the internal registry’s name',
    notOnCluster: 'openshift.test.ts tests it',
  },
  {
    attack: 'an unknown image in the status of a stream, sent with the stream itself',
    kind: 'ImageStream',
    oldObject: { spec: {} },
    object: { spec: {}, status: { tags: [{ tag: '1', items: [{ image: 'sha256:1', dockerImageReference: evil }] }] } },
    right: 'allowed',
    why: 'the API server keeps the existing status',
  },
  {
    attack: 'an unknown image in the spec of a stream, sent with its status',
    kind: 'ImageStream',
    subresource: 'status',
    oldObject: { spec: {} },
    object: { spec: { tags: [{ name: '1', from: docker(evil) }] }, status: {} },
    right: 'allowed',
    why: 'the API server keeps the existing spec',
    notOnCluster: 'it is sent to a subresource',
  },
  {
    attack: 'a whole repository to import',
    kind: 'ImageStreamImport',
    object: { spec: { import: true, repository: { from: docker('evil.example.com/app') } } },
    right: 'denied',
    why: 'it would be imported',
  },
  {
    attack: 'an unknown image in the resource of its tag',
    kind: 'ImageStreamTag',
    object: { tag: { name: '1', from: docker(evil) } },
    right: 'denied',
    why: 'it would be imported',
  },
  {
    attack: 'an unknown image in the newer resource of its tag',
    kind: 'ImageTag',
    object: { spec: { name: '1', from: docker(evil) } },
    right: 'denied',
    why: 'it would be imported',
  },
  {
    attack: 'an unknown image reported as pushed',
    kind: 'ImageStreamMapping',
    object: { image: { dockerImageReference: evil }, tag: '1' },
    right: 'denied',
    why: 'the stream would point to it',
  },
];
