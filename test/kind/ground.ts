import type { Kubectl } from '../cluster/kubectl.ts';

/** A cluster in which an installed regkeeper comes to life. */
export type Ground = {
  /** An administrator's. */
  readonly kubeconfig: string;
  /** The executable. */
  readonly kubectl: string;
  /** Resolves when the Deployment that was just installed answers. */
  podsReady(kubectl: Kubectl): Promise<void>;
  /** The installation was removed. */
  podsGone(): Promise<void>;
  stop(): Promise<void>;
};
