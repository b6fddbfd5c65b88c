/** The interface to a cluster that test:kind installs regkeeper into, which kind.ts and rehearsal.ts implement. */
import type { Kubectl } from '../cluster/kubectl.ts';

/** A cluster that starts Pods for an installed regkeeper, or simulates that. */
export type Ground = {
  /** Path of an administrator's kubeconfig. */
  readonly kubeconfig: string;
  /** Path of the executable. */
  readonly kubectl: string;
  /** Whether nodes run Pods, such as that of `helm test`. */
  readonly runsPods: boolean;
  /** The port of this machine on which the nodes expect the registries of test/node. Undefined where no node pulls images. */
  readonly registryPort: number | undefined;
  /** Resolves when the Pods of the Deployment that was just installed are ready. */
  podsReady(kubectl: Kubectl): Promise<void>;
  /** Called after an uninstallation. Ends what replaced the Pods. */
  podsGone(): Promise<void>;
  stop(): Promise<void>;
};
