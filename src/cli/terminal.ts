/** What a command has to do with its caller: where it writes, and the exit code it ends with. */

/** 0: clean, 1: findings, 2: usage or configuration. */
export type ExitCode = 0 | 1 | 2;

export type Terminal = { out(text: string): void; err(text: string): void };
