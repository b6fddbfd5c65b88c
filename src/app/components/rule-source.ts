/** Loads rules from files or ConfigMaps into the rule store, parses them off the request path, and keeps a snapshot of them. */

import { createSnapshotWriter, readSnapshot, type SnapshotOptions, type SnapshotWriter } from '../../cluster/rules/rule-snapshot.ts';
import { type ClusterRuleSource, createClusterRuleSource } from '../../cluster/rules/rule-source.ts';
import type { Component } from '../../contracts/component.ts';
import { errorMessage } from '../../errors/error-message.ts';
import { createDocumentParser, namespaceLimits } from '../../loading/document-parser.ts';
import { createRuleFilesSource } from '../../loading/rule-files.ts';
import { createRuleLoader, type RuleLoader } from '../../loading/rule-loader.ts';
import { renderOrigin } from '../../rules/language/problem.ts';
import type { RuleStore, RulesChange } from '../../rules/store/rule-store.ts';
import { clusterDocumentChanges, type RulesInForce } from '../../rules/store/rules-in-force.ts';
import { ConfigurationError } from '../../settings/configuration-error.ts';
import type { Clock } from '../../time/clock.ts';
import type { Settings } from '../settings.ts';
import type { ClusterView } from './cluster-view.ts';
import type { Logger } from './outputs.ts';

export type RuleSourceOptions = {
  readonly settings: Pick<Settings, 'rulePaths' | 'cluster' | 'namespaceRules' | 'nameOf'>;
  readonly cluster: Pick<ClusterView, 'client'> | undefined;
  readonly store: RuleStore;
  readonly rules: RulesInForce;
  /** Whether this replica restores a damaged snapshot. Without leader election, each replica does. */
  readonly leads: () => boolean;
  /** Counts versions of a namespace's rules that were not parsed. */
  readonly onSkipped: (versions: number) => void;
  readonly log: Logger;
  readonly clock: Clock;
};

export type RuleSource = {
  readonly loader: Pick<RuleLoader, 'isStillLoading' | 'missing' | 'waitingNamespaces'>;
  /** Owns the parsers of the loader. */
  readonly loading: Component;
  /** Keeps the last valid rules in the cluster. Undefined if the rules come from files. */
  readonly snapshot: Component | undefined;
  readonly source: Component;
  /** As in {@link ClusterRuleSource}. Undefined if the rules come from files. */
  readonly versionOf: ClusterRuleSource['versionOf'] | undefined;
};

export function createRuleSource(options: RuleSourceOptions): RuleSource {
  const { settings, cluster } = options;
  if (settings.rulePaths.length > 0 || !cluster || !settings.cluster) return createFromFiles(options);
  return createFromCluster(options, cluster, settings.cluster.namespace);
}

function createFromFiles(options: RuleSourceOptions): RuleSource {
  const { settings, log, clock, rules } = options;
  const { loader, loading } = createLoading(options, (changes) => startProblems.onChange(changes));
  const startProblems = collectStartProblems(rules.documentsChanged);
  const files = createRuleFilesSource({
    paths: settings.rulePaths,
    loader,
    clock,
    onProblem: (message) => log.error({}, `${message}. The previous rules remain in effect`),
    onReadable: () => log.info({}, 'the rule files are readable again'),
  });
  const start = async () => {
    await files.start().catch((error: unknown) => {
      const lines = errorMessage(error).split('\n');
      throw new ConfigurationError(lines.map((line) => `${settings.nameOf('rules')}: ${line}`).join('\n'));
    });
    startProblems.throwIfAny();
  };
  return { loader, loading, snapshot: undefined, source: { name: 'rule files', start, stop: files.stop }, versionOf: undefined };
}

/** Collects the problems of the first load. From the first problem on no change is passed on, since the start will fail. */
function collectStartProblems(passOn: (changes: readonly RulesChange[]) => void) {
  const problems: string[] = [];
  let ended = false;
  return {
    onChange(changes: readonly RulesChange[]) {
      const found = ended ? [] : changes.flatMap((change) => change.problems);
      problems.push(...found.map(({ origin, message }) => `${renderOrigin(origin)}: ${message}`));
      if (problems.length === 0) passOn(changes);
    },
    /** @throws ConfigurationError with all problems of the first load, if there were any */
    throwIfAny() {
      if (problems.length > 0) throw new ConfigurationError(problems.join('\n'));
      ended = true;
    },
  };
}

function createFromCluster(options: RuleSourceOptions, { client }: Pick<ClusterView, 'client'>, namespace: string): RuleSource {
  const { settings, rules, store, log, clock } = options;
  const { loader, loading } = createLoading(options, rules.documentsChanged);
  const snapshotOptions: SnapshotOptions = { client, namespace, log, clock };
  const snapshot = createSnapshotWriter({ ...snapshotOptions, leads: options.leads });
  const source = createClusterRuleSource({
    ...snapshotOptions,
    namespaceRules: settings.namespaceRules,
    intake: loader,
    rulesInForce: (name) => store.written()?.namespaceRules.get(name)?.length ?? 0,
    lastGood: (signal) => readSnapshot(snapshotOptions, signal),
  });
  return { loader, loading, snapshot: createSnapshotComponent(snapshot, store, rules), source, versionOf: source.versionOf };
}

function createSnapshotComponent(snapshot: SnapshotWriter, store: RuleStore, rules: RulesInForce): Component {
  let unsubscribe = () => {};
  return {
    name: 'rule snapshot',
    start() {
      snapshot.start();
      unsubscribe = rules.onChange((event) => {
        // The snapshot has no rules of namespaces. Writing the whole snapshot for each of their changes would cost more than the change.
        if (store.written() && clusterDocumentChanges(event).length > 0) snapshot.save(store.accepted());
      });
    },
    async stop() {
      unsubscribe();
      await snapshot.stop();
    },
  };
}

function createLoading({ store, onSkipped, clock }: RuleSourceOptions, onChange: (changes: readonly RulesChange[]) => void) {
  const parsers = {
    cluster: createDocumentParser({}, undefined, clock),
    namespaces: createDocumentParser(namespaceLimits, undefined, clock),
  };
  const loader = createRuleLoader({ store, parsers, onChange, onSkipped, clock });
  const loading: Component = {
    name: 'rule loading',
    async stop() {
      // The loader stops before the parsers. Otherwise waiting documents would be rejected only because the process ends.
      loader.stop();
      await Promise.all([parsers.cluster.stop(), parsers.namespaces.stop()]);
    },
  };
  return { loader, loading };
}
