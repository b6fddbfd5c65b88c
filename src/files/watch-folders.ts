/** Watches folders whose files are changed by other programs, and reloads them. */
import { type FSWatcher, watch } from 'node:fs';
import { type Clock, repeat, systemClock } from '../time/clock.ts';

export type WatchedFolders = {
  readonly folders: readonly string[];
  /** Reads the files and applies their content. Never runs twice at a time. Must not reject. */
  readonly reload: () => Promise<void>;
  /** Polling interval in milliseconds for file systems without change events. The default is 2,000. */
  readonly pollMilliseconds?: number;
  readonly clock?: Pick<Clock, 'schedule'>;
};

/**
 * Delay after a change event, since editors, the kubelet and programs that write a certificate and its key change files in several steps.
 */
const settleMilliseconds = 50;

/**
 * Calls `reload` soon after each change in the folders, and regularly without one. Folders are watched instead of files: the kubelet
 * changes a mounted ConfigMap or Secret by swapping the symlink `..data` next to its files, which a watch on a file does not see.
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

  /** Only one reload runs at a time. A change during a reload leads to another one after it. */
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
  // Changes between the caller's first read and the start of the watch have caused no event.
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

/** A folder that cannot be watched (the kernel's inotify limit, a removed mount) is only polled, which is slower but not wrong. */
function watchFolder(folder: string, onEvent: () => void): FSWatcher[] {
  try {
    const watcher = watch(folder, { persistent: false }, onEvent);
    watcher.on('error', () => watcher.close());
    return [watcher];
  } catch {
    return [];
  }
}
