/** Installs regkeeper on the node as its users do: its own image in Pods, called through its Service. */

import { join, resolve } from 'node:path';
import type { ControlPlane } from '../cluster/control-plane.ts';
import type { Helm } from '../cluster/helm.ts';
import { type Kubectl, kubectlOf } from '../cluster/kubectl.ts';
import { programFile } from '../cluster/program.ts';
import { ownNamespace, waitUntilFilled } from '../cluster/regkeeper.ts';
import { waitFor } from '../cluster/wait-for.ts';
import { nothingIsLeft, type Way } from '../kind/ways.ts';
import { preload } from './ctr.ts';
import { layoutArchive } from './images.ts';
import { makeOwnImage } from './own-image.ts';
import { followService } from './service.ts';

const root = resolve(import.meta.dirname, '../..');

/** Makes an installation possible: puts the image on the node, and brings the API server to the Pods of the Service. Returns what ends that. */
export async function prepareInstallation(plane: ControlPlane, folder: string, containerd: string): Promise<() => Promise<void>> {
  const kubectl = kubectlOf(plane);
  await preload(folder, containerd, layoutArchive(await shippedImage(kubectl), await makeOwnImage(programFile())));
  const address = { namespace: ownNamespace, service: 'regkeeper', port: 443 };
  const service = await followService(await kubectl.api(), address);
  await plane.services.route(address, service.port);
  return service.close;
}

/** The name of the image in deploy/. */
async function shippedImage(kubectl: Kubectl): Promise<string> {
  const { stdout } = await kubectl(['kustomize', join(root, 'deploy/program')]);
  return /^ *image: (\S+)$/m.exec(stdout)?.[1] ?? '';
}

/** Returns when the replicas are ready and the API server calls them. */
export async function installOnNode(way: Way, kubectl: Kubectl, helm: Helm, values: readonly string[] = []): Promise<void> {
  await way.install(kubectl, helm, values);
  await untilRolledOut(kubectl);
  await waitUntilFilled(kubectl);
}

/** Returns when all replicas of a Deployment of the installation are ready. */
export async function untilRolledOut(kubectl: Kubectl, deployment = 'regkeeper'): Promise<void> {
  await kubectl(['rollout', 'status', `deployment/${deployment}`, '-n', ownNamespace, '--timeout=120s']);
}

/** Returns when the removal has ended, also where nothing was installed. */
export async function removeFromNode(way: Way, kubectl: Kubectl, helm: Helm): Promise<void> {
  await way.remove(kubectl, helm);
  await waitFor(() => nothingIsLeft(kubectl), { deadlineSeconds: 120, what: `nothing to be left of ${way.name}` });
}
