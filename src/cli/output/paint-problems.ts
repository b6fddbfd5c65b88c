/** Prints problems and warnings of rules, one per line. */
import { escapeControls } from '../../object/text.ts';
import type { Problem } from '../../rules/language/problem.ts';
import { renderProblemLine } from '../../rules/language/problem-lines.ts';
import { type Meaning, type Paint, plain } from './paint.ts';

const meanings = { place: 'place', problem: 'denied', warning: 'warned', hint: 'hint' } as const satisfies Record<string, Meaning>;

export function renderProblems(problems: readonly Problem[], paint: Paint = plain): string {
  return problems.map((problem) => `${renderProblemLine(problem, (part, text) => paint(meanings[part], escapeControls(text)))}\n`).join('');
}
