/** Follows files with certificates. An unusable version is reported, and the last valid version stays in use. */
import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errorCode, errorMessage } from '../../errors/error-message.ts';
import { watchFolders } from '../../files/watch-folders.ts';
import { type Clock, systemClock } from '../../time/clock.ts';

/** `problem` is a sentence without a full stop. */
export type FilesReading<Value> = { readonly ok: true; readonly value: Value } | { readonly ok: false; readonly problem: string };

export type FollowedFiles<Value> = {
  readonly paths: readonly string[];
  readonly read: () => Promise<FilesReading<Value>>;
  /** Called with each usable version, also if nothing changed. */
  readonly onRead: (value: Value) => void;
  /** What is used while the files are unusable, at the beginning of a sentence, such as `The previous certificate`. */
  readonly kept: string;
  /** Called with a sentence when the files become unusable: once per distinct problem, until they are usable again. */
  readonly onProblem: (problem: string) => void;
  /** How often the files, which are small, are read even without a change event. 10 s by default. */
  readonly pollMilliseconds?: number | undefined;
  readonly clock?: Pick<Clock, 'schedule'> | undefined;
};

export function followFiles<Value>({ paths, pollMilliseconds = 10_000, clock = systemClock, ...options }: FollowedFiles<Value>): {
  close(): void;
} {
  const reported = new Set<string>();

  function report(problem: string): void {
    if (reported.has(problem)) return;
    reported.add(problem);
    options.onProblem(`${problem}. ${options.kept} is still in use`);
  }

  async function reload(): Promise<void> {
    try {
      const reading = await options.read();
      if (!reading.ok) return report(reading.problem);
      reported.clear();
      options.onRead(reading.value);
    } catch (error) {
      // A listener that cannot use the new version must not end the process.
      report(`cannot use the new version of ${paths[0]}: ${errorMessage(error)}`);
    }
  }

  return watchFolders({ folders: [...new Set(paths.map((path) => dirname(path)))], reload, pollMilliseconds, clock });
}

/** The message names the file and the remedy. */
export class UnreadableFile extends Error {}

/** @throws UnreadableFile */
export async function readText(role: string, path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new UnreadableFile(`${role} file ${path}: ${renderReadError(error)}`);
  }
}

function renderReadError(error: unknown): string {
  const code = errorCode(error);
  if (code === 'ENOENT') return 'no such file. Check the path, and that the Secret is mounted';
  if (code === 'EACCES')
    return `permission denied. Grant read permission to the user of this process (uid ${process.getuid?.() ?? 'unknown'})`;
  if (code === 'EISDIR') return 'is a directory. Use the path of the file in it';
  return errorMessage(error);
}
