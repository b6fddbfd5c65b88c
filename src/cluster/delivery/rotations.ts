/** Measures rotations: the time from the write of a source until its last copy follows. */

export type Rotations = {
  /** The source was written. */
  begin(source: string): void;
  /** A copy of the source has to be written. */
  pending(source: string, key: string): void;
  /** Every namespace that has changed has been planned. */
  planned(): void;
  /** The copy was written, or need not be. */
  done(key: string, written?: boolean): void;
};

export type Rotation = { readonly source: string; readonly copies: number; readonly seconds: number };

type Current = { readonly startedAt: number; readonly pending: Set<string>; copies: number; lastAt: number; planned: boolean };

export function createRotations(monotonic: () => number, onEnd: (rotation: Rotation) => void): Rotations {
  const current = new Map<string, Current>();

  function endIfComplete(source: string, rotation: Current): void {
    if (!rotation.planned || rotation.pending.size > 0) return;
    current.delete(source);
    const { copies, startedAt, lastAt } = rotation;
    if (copies > 0) onEnd({ source, copies, seconds: (lastAt - startedAt) / 1_000 });
  }

  return {
    begin(source) {
      const now = monotonic();
      current.set(source, { startedAt: now, pending: new Set(), copies: 0, lastAt: now, planned: false });
    },
    pending: (source, key) => void current.get(source)?.pending.add(key),
    planned() {
      for (const [source, rotation] of current) {
        rotation.planned = true;
        endIfComplete(source, rotation);
      }
    },
    done(key, written = false) {
      for (const [source, rotation] of current) {
        if (!rotation.pending.delete(key)) continue;
        if (written) {
          rotation.copies += 1;
          rotation.lastAt = monotonic();
        }
        endIfComplete(source, rotation);
      }
    },
  };
}
