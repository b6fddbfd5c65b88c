/** Renders problems and warnings of rules for the command line and for machine output. */
import { levelOf, type Origin, type Problem, type ProblemLevel, renderOrigin, renderSourcePath } from './problem.ts';

/** Emphasizes a part of a line, such as with a colour. */
export type EmphasizePart = (part: 'place' | ProblemLevel, text: string) => string;

/** `file:line:column code message` in one line. Warnings and hints are marked. */
export function renderProblemLine({ code, message, origin }: Problem, emphasize: EmphasizePart = (_part, text) => text): string {
  const level = levelOf(code);
  const mark = level === 'problem' ? '' : `${emphasize(level, `${level}:`)} `;
  return `${emphasize('place', renderOrigin(origin))} ${emphasize(level, code)} ${mark}${message}`;
}

/** A problem or warning in machine output. `file` is the path that the user passed. */
export type ProblemEntry = ProblemLocation & {
  readonly level: ProblemLevel;
  readonly code: string;
  readonly message: string;
  /** The other location, if two contradict each other. */
  readonly related?: ProblemLocation;
};

type ProblemLocation = { readonly file: string; readonly line: number; readonly column: number };

export function problemEntry({ code, message, origin, related }: Problem): ProblemEntry {
  return { ...locationOf(origin), level: levelOf(code), code, message, ...(related && { related: locationOf(related) }) };
}

function locationOf({ source, line, column }: Origin): ProblemLocation {
  return { file: renderSourcePath(source), line, column };
}
