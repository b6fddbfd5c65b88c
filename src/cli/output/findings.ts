/** Findings of `check` and `lint` in one shape, for the formats of CI systems. */
import type { Evaluation } from '../../evaluate/evaluate.ts';
import { type ObjectResult, renderSubject } from '../../evaluate/evaluate-object.ts';
import { type NotEvaluatedCode, notEvaluatedCodes } from '../../evaluate/not-evaluated.ts';
import { levelOf, type Origin, type Problem, type ProblemLevel, problemCodes, renderSourcePath } from '../../rules/language/problem.ts';
import { remedySentence } from '../../rules/language/problem-remedies.ts';

export type Finding = {
  readonly place: Place;
  readonly level: 'error' | 'warning' | 'note';
  readonly code: string;
  /** A few words, without the details. */
  readonly title: string;
  readonly message: string;
  /** The other place, if two contradict each other. */
  readonly related?: Place;
};

export type Place = {
  /** The path that the user gave, `-` for standard input, or the name of what is not a file. */
  readonly file: string;
  readonly isFile: boolean;
  /** Absent if the file cannot be read. */
  readonly line?: number;
  readonly column?: number;
};

/** What a code means, for code scanning services. */
export type FindingCode = { readonly code: string; readonly level: Finding['level']; readonly text: string; readonly help: string };

const objectCodes: readonly FindingCode[] = [
  {
    code: 'denied',
    level: 'error',
    text: 'The object would be denied.',
    help: 'Use an image from a trusted registry, or ask the owner of the rules.',
  },
  {
    code: 'uncertain',
    level: 'error',
    text: 'The result is uncertain, because information about the cluster is missing.',
    help: 'With -f, pass the objects that the message mentions.',
  },
  {
    code: 'warned',
    level: 'warning',
    text: 'The object would be allowed with a warning.',
    help: 'Fix it before the rules are enforced.',
  },
];

const malformedSecret: FindingCode = {
  code: 'malformed-secret',
  level: 'warning',
  text: 'A kubelet cannot read a registry Secret.',
  help: 'Fix the Secret as the message describes.',
};

/** What was not evaluated, by code. */
const notEvaluatedTexts: Readonly<Record<NotEvaluatedCode, readonly [text: string, help: string]>> = {
  unreadable: ['A path cannot be read.', 'Correct the path or its permissions.'],
  'invalid-yaml': ['A file is not valid YAML.', 'Correct the YAML.'],
  'not-an-object': ['A document is not a Kubernetes object.', 'Pass only files and directories with objects.'],
  'not-rendered': ['A kustomization, chart or Template was not rendered.', 'Run the command in the message, and pass its output.'],
  'mistyped-kind': ['The API version does not have this kind.', 'Correct the kind or the apiVersion.'],
  'unknown-kind': [
    'An object of an unknown kind may contain images.',
    'Describe the kind with --custom-kinds, or skip its objects with --skip-unknown.',
  ],
};

/** The codes of `check`. */
export const evaluationCodes: readonly FindingCode[] = [
  ...objectCodes,
  malformedSecret,
  ...notEvaluatedCodes.map((code): FindingCode => {
    const [text, help] = notEvaluatedTexts[code];
    return { code, level: 'error', text, help };
  }),
];

type Findings = Pick<Evaluation, 'notEvaluated' | 'results' | 'decidingImages' | 'malformedSecrets'>;

/** What was not evaluated comes first, because a gate must not pass it. An object's finding is at the image that decides it. */
export function evaluationFindings({ notEvaluated, results, decidingImages, malformedSecrets }: Findings): readonly Finding[] {
  const missed = notEvaluated.map(
    ({ file, line, column, code, message, object }): Finding => ({
      place: { ...placeInFile(file, line), ...(column !== undefined && { column }) },
      level: 'error',
      code,
      title: `${object ? renderSubject(object) : 'not evaluated'}: ${code}`,
      message,
    }),
  );
  const ofSecrets = malformedSecrets.map(({ namespace, name, file, line, message }) => ({
    place: placeInFile(file, line),
    level: malformedSecret.level,
    code: malformedSecret.code,
    title: `Secret ${namespace}/${name}: malformed`,
    message,
  }));
  const ofObjects = results.flatMap((result, index): readonly Finding[] => {
    const finding = objectFinding(result);
    return finding ? [{ ...finding, place: { ...finding.place, ...decidingImages[index]?.() } }] : [];
  });
  return [...missed, ...ofObjects, ...ofSecrets];
}

/** Undefined if the object is allowed without a warning. */
export function objectFinding(result: ObjectResult): Finding | undefined {
  const found = codeOf(result);
  if (!found) return undefined;
  const { code, level } = found;
  return {
    place: placeInFile(result.object.file, result.object.line),
    level,
    code,
    title: `${renderSubject(result.object)}: ${code}`,
    message: [...(result.uncertain ?? []), ...result.messages].join('\n'),
  };
}

function placeInFile(file: string, line?: number): Place {
  return { file, isFile: file !== '-', ...(line !== undefined && { line }) };
}

/** A warning of an allowed object is a finding too. */
function codeOf({ outcome, uncertain, messages }: ObjectResult): FindingCode | undefined {
  const code = uncertain ? 'uncertain' : outcome === 'allowed' && messages.length > 0 ? 'warned' : outcome;
  return objectCodes.find((each) => each.code === code);
}

const severities = { problem: 'error', warning: 'warning', hint: 'note' } as const satisfies Record<ProblemLevel, Finding['level']>;

/** The codes of `lint`. */
export const problemFindingCodes: readonly FindingCode[] = (Object.keys(problemCodes) as (keyof typeof problemCodes)[]).map((code) => ({
  code,
  level: severityOf(code),
  text: problemCodes[code].text,
  help: remedySentence(code),
}));

export function problemFindings(problems: readonly Problem[]): readonly Finding[] {
  return problems.map(({ code, message, origin, related }) => ({
    place: placeOf(origin),
    level: severityOf(code),
    code,
    title: code,
    message,
    ...(related && { related: placeOf(related) }),
  }));
}

function severityOf(code: keyof typeof problemCodes): Finding['level'] {
  return severities[levelOf(code)];
}

function placeOf({ source, line, column }: Origin): Place {
  return { file: renderSourcePath(source), isFile: source.kind === 'file' && source.file !== '-', line, column };
}
