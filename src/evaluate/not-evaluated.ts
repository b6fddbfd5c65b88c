/** What was given and not evaluated: a file, a part of it, or an object. A gate must not pass because of it. */
import { inputName } from '../image/wording.ts';

/** The shape of `notEvaluated` in `check -o json`. */
export type NotEvaluated = {
  /** `-` is standard input. */
  readonly file: string;
  /** 1-based. Absent if the file itself cannot be read. */
  readonly line?: number;
  /** 1-based. Absent for an object. */
  readonly column?: number;
  readonly code: NotEvaluatedCode;
  /** Up to three sentences with the reason and the fix, without the full stop at the end. */
  readonly message: string;
  readonly object?: Subject;
};

export type Subject = {
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace: string;
  /** Empty if the object has only generateName. */
  readonly name: string;
  readonly generateName?: string;
};

/** `unknown-kind` is the one that `--skip-unknown` accepts. docs/tools.md explains each. */
export const notEvaluatedCodes = ['unreadable', 'invalid-yaml', 'not-an-object', 'not-rendered', 'mistyped-kind', 'unknown-kind'] as const;
export type NotEvaluatedCode = (typeof notEvaluatedCodes)[number];

/** Renders it as `deploy/web.yaml:3:5: …`. */
export function renderNotEvaluated({ file, line, column, message }: NotEvaluated): string {
  const place = [inputName(file), line, column].filter((part) => part !== undefined);
  return `${place.join(':')}: ${message}`;
}
