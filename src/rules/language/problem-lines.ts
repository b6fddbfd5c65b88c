/** Problems and warnings of rules, as commands print them. */
import { levelOf, type Origin, type Problem, renderOrigin, renderSourcePath } from './problem.ts';

/** `file:line:column code message`, one line; a warning says that it is one. */
export function renderProblemLine(problem: Problem): string {
  const { code, message, origin } = problem;
  return `${renderOrigin(origin)} ${code} ${levelOf(code) === 'warning' ? 'warning: ' : ''}${message}`;
}

/** A finding in machine output; `file` as it was given. */
export type ProblemEntry = ProblemPlace & {
  readonly level: 'problem' | 'warning';
  readonly code: string;
  readonly message: string;
  /** The other place, where two disagree. */
  readonly related?: ProblemPlace;
};

type ProblemPlace = { readonly file: string; readonly line: number; readonly column: number };

export function problemEntry({ code, message, origin, related }: Problem): ProblemEntry {
  return { ...placeOf(origin), level: levelOf(code), code, message, ...(related && { related: placeOf(related) }) };
}

function placeOf({ source, line, column }: Origin): ProblemPlace {
  return { file: renderSourcePath(source), line, column };
}
