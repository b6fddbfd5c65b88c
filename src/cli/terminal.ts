/** What a command needs from its caller and returns to it: two output streams and an exit code. */

/** 0: success. 1: findings. 2: a usage or configuration error. */
export type ExitCode = 0 | 1 | 2;

/** `out` is standard output, `err` standard error. */
export type Terminal = { out(text: string): void; err(text: string): void };
