/** Findings of `check` and `lint` in one shape, for the formats of CI systems. */
import { type ObjectResult, renderSubject } from '../../evaluate/evaluate.ts';
import { levelOf, type Origin, type Problem, problemCodes, renderSourcePath } from '../../rules/language/problem.ts';
import { problemRemedies } from '../../rules/language/problem-remedies.ts';

export type Finding = {
  readonly place: Place;
  readonly level: 'error' | 'warning';
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
  readonly line: number;
  readonly column?: number;
};

/** What a code means, for code scanning services. */
export type FindingCode = { readonly code: string; readonly level: Finding['level']; readonly text: string; readonly help: string };

/** The codes of `check`. */
export const objectCodes: readonly FindingCode[] = [
  {
    code: 'denied',
    level: 'error',
    text: 'The object would be denied.',
    help: 'Use an image from a trusted registry, or ask the owner of the rules.',
  },
  {
    code: 'undecided',
    level: 'error',
    text: 'The result is uncertain, because information about the cluster is missing.',
    help: 'Pass the objects that the message names with -f.',
  },
  {
    code: 'warned',
    level: 'warning',
    text: 'The object would be allowed with a warning.',
    help: 'Fix it before the rules are enforced.',
  },
];

/** One finding per object that is not simply allowed. */
export function objectFindings(results: readonly ObjectResult[]): readonly Finding[] {
  return results.flatMap((result) => {
    const code = codeOf(result);
    if (code === undefined) return [];
    const { file, line } = result.object;
    return {
      place: { file, isFile: file !== '-', line },
      level: code.level,
      code: code.code,
      title: `${renderSubject(result.object)}: ${code.code}`,
      message: [...(result.undecided ?? []), ...result.messages].join('\n'),
    };
  });
}

/** Undefined if the object is allowed. A warning of an allowed object is a finding too. */
function codeOf({ outcome, undecided, messages }: ObjectResult): FindingCode | undefined {
  const code = undecided ? 'undecided' : outcome === 'allowed' && messages.length > 0 ? 'warned' : outcome;
  return objectCodes.find((each) => each.code === code);
}

/** The codes of `lint`. */
export const problemFindingCodes: readonly FindingCode[] = (Object.keys(problemCodes) as (keyof typeof problemCodes)[]).map((code) => ({
  code,
  level: severityOf(code),
  text: problemCodes[code].text,
  help: sentence(problemRemedies[code]),
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
  return levelOf(code) === 'problem' ? 'error' : 'warning';
}

function placeOf({ source, line, column }: Origin): Place {
  return { file: renderSourcePath(source), isFile: source.kind === 'file' && source.file !== '-', line, column };
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}
