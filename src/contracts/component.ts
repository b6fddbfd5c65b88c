/** The contract of everything that lives as long as the server. */

/** A part of the server. Its constructor wires it up and does no I/O. */
export type Component = {
  readonly name: string;
  /**
   * Resolves when the component works. Rejects with an error that the operator can correct. The signal aborts when the start is cancelled.
   */
  start?(signal: AbortSignal): Promise<void> | void;
  /** Called once, also after a start that failed or never finished. Resolves when nothing of the component runs any more. */
  stop?(): Promise<void> | void;
  /** Own deadline for stopping, in milliseconds, if the component needs more time than others. */
  readonly stopWithinMilliseconds?: number;
};

/** A component whose start waits for nothing. */
export type ImmediateComponent = Component & { start(): void; stop(): Promise<void> | void };
