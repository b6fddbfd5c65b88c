/** Following files that somebody else changes. */
import { type FSWatcher, watch } from 'node:fs';
import { type Clock, repeat, systemClock } from '../time/clock.ts';

export type WatchedFolders = {
  readonly folders: readonly string[];
  /** Reads and takes over what is there. Never runs twice at a time; must not reject. */
  readonly reload: () => Promise<void>;
  /** For file systems that report nothing; 2,000 unless told. */
  readonly pollMilliseconds?: number;
  readonly clock?: Pick<Clock, 'schedule'>;
};

/** Editors, the kubelet and whoever writes a certificate and its key change files in several steps: what they leave behind is looked at, not each step. */
const settleMilliseconds = 50;

/**
 * Calls `look` soon after each change in the folders, and now and then without one. Folders are watched, not files: the kubelet changes a
 * mounted ConfigMap or Secret by swapping the symlink `..data` beside it, which a watch of the file would never see.
 */
export function watchFolders({ folders, reload, pollMilliseconds = 2000, clock = systemClock }: WatchedFolders): { close(): void } {
  let cancelNext: (() => void) | undefined;
  let reloading = false;
  let changedMeanwhile = false;
  let closed = false;

  function scheduleReload(): void {
    if (closed || cancelNext !== undefined) return;
    cancelNext = clock.schedule(reloadNow, settleMilliseconds);
  }

  /** At most one look at a time; a sign of change during one leads to another after it. */
  function reloadNow(): void {
    cancelNext?.();
    cancelNext = undefined;
    if (closed) return;
    if (reloading) {
      changedMeanwhile = true;
      return;
    }
    reloading = true;
    void reload().finally(() => {
      reloading = false;
      if (changedMeanwhile) scheduleReload();
      changedMeanwhile = false;
    });
  }

  const watchers = folders.flatMap((folder) => watchFolder(folder, scheduleReload));
  const endPolling = repeat(clock, reloadNow, pollMilliseconds);
  // What changed between the caller's first reading and the watch has made no event.
  scheduleReload();
  return {
    close() {
      closed = true;
      cancelNext?.();
      endPolling();
      for (const watcher of watchers) watcher.close();
    },
  };
}

/** A folder that cannot be watched (the kernel's inotify limit, a removed mount) is left to the poll: slower, never wrong. */
function watchFolder(folder: string, onEvent: () => void): FSWatcher[] {
  try {
    const watcher = watch(folder, { persistent: false }, onEvent);
    watcher.on('error', () => watcher.close());
    return [watcher];
  } catch {
    return [];
  }
}
