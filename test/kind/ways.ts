/** The two ways to install and uninstall that deploy/README.md describes. */

import { join, resolve } from 'node:path';
import type { Helm } from '../cluster/helm.ts';
import type { Kubectl } from '../cluster/kubectl.ts';
import { ownNamespace } from '../cluster/regkeeper.ts';

const root = resolve(import.meta.dirname, '../..');

export type Way = {
  readonly name: string;
  /** `values` are settings of the chart, such as `replicaCount=2`. Only Helm has them. */
  install(kubectl: Kubectl, helm: Helm, values?: readonly string[]): Promise<unknown>;
  /** A check of the installation that users can run too. */
  test?(helm: Helm): Promise<unknown>;
  remove(kubectl: Kubectl, helm: Helm): Promise<unknown>;
};

export function ways(): readonly Way[] {
  return [
    {
      name: 'kustomize',
      install: (kubectl) => kubectl(['apply', '--server-side', '--field-manager=regkeeper-install', '-k', join(root, 'deploy/base')]),
      async remove(kubectl) {
        await removeNamespace(kubectl);
        await kubectl(['delete', 'clusterrole,clusterrolebinding', '-l', 'app.kubernetes.io/name=regkeeper']);
      },
    },
    {
      name: 'Helm',
      install: (_kubectl, helm, values = []) => {
        const flags = values.flatMap((value) => ['--set', value]);
        return helm(['install', 'regkeeper', join(root, 'deploy/chart'), '-n', ownNamespace, '--create-namespace', ...flags]);
      },
      test: (helm) => helm(['test', 'regkeeper', '-n', ownNamespace]),
      async remove(kubectl, helm) {
        await helm(['uninstall', 'regkeeper', '-n', ownNamespace, '--wait']);
        await removeNamespace(kubectl);
      },
    },
  ];
}

async function removeNamespace(kubectl: Kubectl): Promise<void> {
  await kubectl(['delete', 'namespace', ownNamespace, '--ignore-not-found', '--timeout=120s']);
}

/** Kinds without a namespace that an installation has objects of. */
export const clusterScoped = [
  'mutatingwebhookconfigurations',
  'validatingwebhookconfigurations',
  'validatingadmissionpolicies',
  'validatingadmissionpolicybindings',
  'clusterroles',
  'clusterrolebindings',
].join();

const ownName = /\/regkeeper(-facts|-openshift|-registration|-deliver|-delivered-secrets|-delivery)?$/;

/** @throws Error that lists the objects that an uninstallation has left */
export async function nothingIsLeft(kubectl: Kubectl, kinds = `namespaces,${clusterScoped}`): Promise<true> {
  const { stdout } = await kubectl(['get', kinds, '-o', 'name']);
  const left = stdout.split('\n').filter((name) => ownName.test(name));
  if (left.length > 0) throw new Error(left.join(', '));
  return true;
}
