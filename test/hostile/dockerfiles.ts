// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are the variables of Dockerfiles
/** BuildConfigs that an ordinary user of a namespace can send, with a small inline Dockerfile that would be expensive to expand. */
import { readDockerfileImages } from '../../src/object/dockerfile/images.ts';

export type HostileDockerfile = {
  /** What is sent. */
  readonly name: string;
  /** The BuildConfig, without a namespace. */
  readonly build: () => HostileBuild;
  /** Matches the message of the denial. Each is denied: where it exceeds a limit as malformed, otherwise because of its images. */
  readonly message: RegExp;
};

type HostileBuild = {
  readonly apiVersion: 'build.openshift.io/v1';
  readonly kind: 'BuildConfig';
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly source: { readonly type: 'Dockerfile'; readonly dockerfile: string };
    readonly strategy: {
      readonly type: 'Docker';
      readonly dockerStrategy: { readonly buildArgs: readonly { name: string; value: string }[] };
    };
  };
};

/** The greatest length of a Dockerfile that regkeeper reads, in characters. */
const longest = 131_072;
const long = `evil.example.com/${'a/'.repeat(1992)}`.slice(0, 4001);
const tooMany = /spec\.source\.dockerfile references images in more than 500 places/;
const tooLong = /spec\.source\.dockerfile expands ARG and ENV to more than 1,048,576 characters/;
const denied = /evil/;

/** The start, followed by the line as often as fits into the greatest length. */
function filled(start: string, line: string | ((index: number) => string)): string {
  const lines = [start];
  let length = start.length;
  for (let index = 0; ; index++) {
    const next = typeof line === 'string' ? line : line(index);
    length += next.length;
    if (length > longest) return lines.join('');
    lines.push(next);
  }
}

/** A start that the tools read in different ways, so that regkeeper has to read the text in twelve ways. */
const twelveReadings = '# syntax=x\n# escape=`\nFROM evil.example.com/x AS Base\nRUN x \\\\\n y\nRUN <<E\nx\nE\n';

export const hostileDockerfiles: readonly HostileDockerfile[] = [
  row('15,000 FROM lines of one long argument', filled(`ARG A=${long}\n`, 'FROM $A\n'), tooMany),
  row(
    'the same in twelve readings',
    filled(`# syntax=x\n# escape=\`\nARG A=${long}\nFROM $A AS Base\nRUN x \\\\\n y\nRUN <<E\nx\nE\n`, 'FROM $A\n'),
    tooMany,
  ),
  row('COPY --from of one long argument', filled(`ARG A=${long}\nFROM evil.example.com/x\nARG A\n`, 'COPY --from=$A a b\n'), tooMany),
  row(
    'RUN --mount of one long argument',
    filled(`ARG A=${long}\nFROM evil.example.com/x\nARG A\n`, 'RUN --mount=from=$A,target=/m x\n'),
    tooMany,
  ),
  row('literal FROM lines', filled('', 'FROM evil.example.com/x\n'), tooMany),
  row('a long build argument', filled('ARG A\n', 'FROM $A\n'), tooMany, [{ name: 'A', value: long }]),
  row(
    'a variable that changes between all of its uses',
    filled(`FROM evil.example.com/x\nENV A=${long}\n`, 'ENV B=x\nLABEL c=d\nENV C=$A\n'),
    tooLong,
  ),
  row(
    'an ARG chain',
    filled('FROM evil.example.com/x\n', (index) => `ARG A${index + 1}=\${A${index}}aaaaaaaa\n`),
    tooLong,
  ),
  row(
    'stages that take over the variables of one another',
    filled('FROM evil.example.com/x AS s0\nARG A=1\n', (index) => `FROM s${index} AS s${index + 1}\nENV V${index}=1\n`),
    tooLong,
  ),
  row(
    'ONBUILDs that every stage carries out',
    `${filled('FROM evil.example.com/x AS s\n', 'ONBUILD ENV A=1\n').slice(0, longest / 2)}\n${'FROM s\n'.repeat(9000)}`,
    tooLong,
  ),
  row('words of nothing but variables', filled('FROM evil.example.com/x\n', `ENV A=${'${A:-a}'.repeat(500)}\n`), denied),
  row('twelve readings of long lines', filled(twelveReadings, `RUN ${'a\\ "b" '.repeat(100)}\n`), denied),
  row('twelve readings of short lines', filled(twelveReadings, 'RUN a\n'), denied),
  row(
    'twelve readings of variables',
    filled(twelveReadings, (index) => `ENV A${index}="$B" C=d\n`),
    denied,
  ),
  row('flags that are read again', filled(twelveReadings, 'COPY "--chown=1 --chmod=2" a b\n'), denied),
];

function row(
  name: string,
  dockerfile: string,
  message: RegExp,
  buildArgs: readonly { name: string; value: string }[] = [],
): HostileDockerfile {
  const build = (): HostileBuild => ({
    apiVersion: 'build.openshift.io/v1',
    kind: 'BuildConfig',
    metadata: { name: 'hostile' },
    spec: { source: { type: 'Dockerfile', dockerfile }, strategy: { type: 'Docker', dockerStrategy: { buildArgs } } },
  });
  return { name, build, message };
}

/** The AdmissionReview that an API server would send, as JSON. */
export function reviewOf(object: HostileBuild): string {
  return JSON.stringify({
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    request: {
      uid: '00000000-0000-0000-0000-000000000000',
      kind: { group: 'build.openshift.io', version: 'v1', kind: 'BuildConfig' },
      resource: { group: 'build.openshift.io', version: 'v1', resource: 'buildconfigs' },
      name: object.metadata.name,
      namespace: 'tenant',
      operation: 'CREATE',
      userInfo: { username: 'tenant' },
      object: { ...object, metadata: { ...object.metadata, namespace: 'tenant' } },
    },
  });
}

/** `work` is the number of characters expanded. */
export const entries = hostileDockerfiles.map(({ name, build, message }) => ({
  name: `an inline Dockerfile: ${name}`,
  sends: () =>
    (['/mutate', '/validate'] as const).map((path) => ({
      path,
      body: reviewOf(build()),
      answer: path === '/validate' || message !== denied ? { allowed: false, message } : {},
    })),
  work: () => expandedBy(build()),
  budget: { work: 1_200_000, recordBytes: 10_000, cpuMilliseconds: 3000, memoryMiB: 400 },
}));

/** The number of characters that are expanded while the Dockerfile is read. */
export function expandedBy({ spec }: HostileBuild): number {
  let expanded = 0;
  const args = new Map(spec.strategy.dockerStrategy.buildArgs.map(({ name, value }) => [name, value]));
  readDockerfileImages(
    spec.source.dockerfile,
    { args, mayGrow: true },
    {
      count: (what, amount) => {
        if (what === 'expanded') expanded += amount;
      },
    },
  );
  return expanded;
}
