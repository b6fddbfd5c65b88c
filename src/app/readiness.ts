/** The conditions under which this replica should get requests, as `/readyz` and the metrics report them. */
import { renderFactGaps } from '../cluster/facts/gap-notes.ts';
import { renderRegistrationNotes } from '../cluster/registration/notes.ts';
import type { Registration } from '../cluster/registration/registration.ts';
import type { RuleLoader } from '../loading/rule-loader.ts';
import type { RuleStore } from '../rules/store/rule-store.ts';
import type { ReadinessCheck } from '../server/health-server.ts';
import type { Certificates } from './components/certificates.ts';
import type { ClusterView } from './components/cluster-view.ts';
import type { Drain } from './components/drain.ts';

/** Evaluated for every probe. Functions are used for components that are created later. */
export type ReadinessSources = {
  readonly store: Pick<RuleStore, 'missing'>;
  readonly loader: Pick<RuleLoader, 'missing'>;
  readonly cluster: Pick<ClusterView, 'missing' | 'gaps'> | undefined;
  readonly certificates: Pick<Certificates, 'ready'>;
  readonly drain: () => Pick<Drain, 'isDraining'>;
  readonly registration: () => Pick<Registration, 'unavailable' | 'narrowed'> | undefined;
};

export function createReadiness(sources: ReadinessSources): readonly ReadinessCheck[] {
  const { store, loader, cluster, certificates, drain } = sources;
  return [
    { name: 'rules', missing: () => store.missing() ?? loader.missing() },
    { name: 'cluster', missing: () => cluster?.missing(), notes: () => notesAboutCluster(sources) },
    { name: 'certificate', missing: certificates.ready },
    { name: 'running', missing: () => (drain().isDraining() ? 'shutting down' : undefined) },
  ];
}

function notesAboutCluster({ cluster, registration }: ReadinessSources): readonly string[] {
  const registered = registration();
  return [...(cluster ? renderFactGaps(cluster.gaps()) : []), ...(registered ? renderRegistrationNotes(registered) : [])];
}
