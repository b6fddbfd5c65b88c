/** Wires the rooms together into a running server. */
import type { FastifyInstance } from 'fastify';
import packageJson from '../../package.json' with { type: 'json' };
import { missingUntilPublished, waitForPublishedCa } from '../certificates/rotation/wait-for-published-ca.ts';
import type { CertificateSource, ServerCertificate } from '../certificates/source.ts';
import { ensureDevelopmentCertificates } from '../certificates/sources/development.ts';
import { watchCertificateFiles } from '../certificates/sources/files.ts';
import { manageCertificateSecret } from '../certificates/sources/secret.ts';
import { explainInvalidity, validityOf } from '../certificates/validity.ts';
import { type ClusterFacts, watchClusterFacts } from '../cluster/facts/facts.ts';
import { renderFactGaps } from '../cluster/facts/gap-notes.ts';
import { type WatchedPlatform, watchPlatform } from '../cluster/facts/platform.ts';
import { renderRegistrationNotes } from '../cluster/registration/notes.ts';
import { watchPublishedCas } from '../cluster/registration/published-cas.ts';
import { createReachabilityProbe } from '../cluster/registration/reachability-probe.ts';
import { manageRegistration, type Registration } from '../cluster/registration/registration.ts';
import { createSnapshotWriter, readSnapshot, type SnapshotOptions } from '../cluster/rules/rule-snapshot.ts';
import { watchClusterRules } from '../cluster/rules/rule-source.ts';
import { dayOf } from '../decision/evaluate-image.ts';
import { noFacts } from '../decision/facts.ts';
import { type ApiClient, connectApi } from '../kube/api-client.ts';
import { loadKubeConfig } from '../kube/kubeconfig.ts';
import { createLeaderElection, type LeaderElection } from '../kube/leader-election.ts';
import { createChangeNotifier } from '../loading/change-notifier.ts';
import { createDocumentParser, namespaceLimits } from '../loading/document-parser.ts';
import { loadExtraKinds } from '../loading/extra-kinds.ts';
import { hashRules } from '../loading/load-rules.ts';
import { watchRuleFiles } from '../loading/rule-files.ts';
import { createRuleLoader, type RuleLoader, type RuleLoaderOptions } from '../loading/rule-loader.ts';
import type { Kinds } from '../object/kinds.ts';
import { buildRulesRecord } from '../observe/audit/rules-record.ts';
import type { RulesReviewRecord } from '../observe/audit/rules-review-record.ts';
import {
  type AuditLog,
  createAuditLog,
  createLogger,
  type Delivery,
  type DestinationOptions,
  type LogDestination,
  openDestination,
} from '../observe/logger.ts';
import { createMetrics } from '../observe/metrics.ts';
import { createNamespaceRulesLog, mergeChanges } from '../observe/namespace-rules-log.ts';
import { logRulesRecovery } from '../observe/rules-recovery.ts';
import { type ClusterObject, type Problem, type RuleSource, renderOrigin } from '../rules/language/problem.ts';
import { lintRules } from '../rules/lint/lint.ts';
import type { RuleSet } from '../rules/rule-set.ts';
import { namedSecrets } from '../rules/store/named-secrets.ts';
import type { PlatformRules } from '../rules/store/platform.ts';
import { createRulesOnPlatform, type RulesOnPlatform } from '../rules/store/platform-rules.ts';
import { createRuleStore, type RuleStore, type RulesChange } from '../rules/store/rule-store.ts';
import { createHealthServer } from '../server/health.ts';
import { createRulesReviewer } from '../server/rules-review.ts';
import { createWebhookServer, minimumTlsVersion } from '../server/webhook.ts';
import { ConfigurationError } from '../settings/configuration-error.ts';
import { listen } from './listen.ts';
import type { Environment, Settings } from './settings.ts';

type Logger = ReturnType<typeof createLogger>;

export type RunningServer = {
  /** As clients reach it, e.g. `https://localhost:8443`. */
  readonly url: string;
  readonly healthUrl: string;
  readonly book: RuleStore;
  readonly caFile: string | undefined;
  readonly log: Logger;
  /** Takes no new work after the drain time, and resolves when every answer is out. */
  stop(): Promise<void>;
};

/** @throws ConfigurationError for what the person who started it can mend */
export async function serve(settings: Settings, env: Environment): Promise<RunningServer> {
  const kinds = await readKinds(settings);
  const outputs = openOutputs(settings);
  try {
    return await start(settings, env, kinds, outputs);
  } catch (error) {
    await outputs.finish();
    throw error;
  }
}

async function start(settings: Settings, env: Environment, kinds: Kinds, outputs: Outputs): Promise<RunningServer> {
  const { log, auditLog } = outputs;
  const book = createRuleStore(hashRules);
  const onPlatform = createRulesOnPlatform(hashRules);
  const inForce = (written: RuleSet | undefined) => written && onPlatform.apply(written).ruleSet;
  const advise = createAdvice(log);
  const namespaceRulesLog = createNamespaceRulesLog(log, Date.now);
  const recovery = logRulesRecovery({ book, inForce: () => inForce(book.current()), log, mayLog: namespaceRulesLog.mayLog });
  const tell = (changes: readonly ToldChange[]) => {
    const ofCluster = changes.filter(({ scope }) => scope.kind === 'cluster');
    const ofNamespaces = changes.filter(({ scope }) => scope.kind === 'namespace');
    if (ofCluster.length > 0) tellRules(ofCluster, book, log, auditLog);
    for (const change of mergeChanges(ofNamespaces)) auditLog.write(buildRulesRecord(change));
    namespaceRulesLog.write(ofNamespaces);
    const rules = inForce(book.current());
    if (rules) metrics.rulesInForce(rules);
  };
  const onRules = (changes: readonly RulesChange[]) => {
    tell(changes.map((change) => changeOnPlatform(change, onPlatform)));
    recovery.look(changes);
    for (const { scope, problems } of changes)
      if (scope.kind === 'namespace') metrics.namespaceRules(problems.length === 0 ? 'accepted' : 'refused');
    const written = book.current();
    // Rules of namespaces have no say in what follows, and one tenant may change them all the time.
    const ofCluster = changes.filter(({ scope }) => scope.kind === 'cluster');
    if (written && ofCluster.length > 0) clusterFacts?.followSecrets(namedSecrets(written));
    if (written && ofCluster.some(({ problems }) => problems.length === 0)) advise(written);
    news.tell();
  };
  const news = createChangeNotifier();
  const parsers = { cluster: createDocumentParser(), namespaces: createDocumentParser(namespaceLimits) };
  let intake: RuleLoader | undefined;
  const closers: (() => unknown)[] = [
    // Before the parsers: what still waits would be refused for no other reason than that the program ends.
    () => intake?.close(),
    () => parsers.cluster.close(),
    () => parsers.namespaces.close(),
  ];
  const intoBook: RuleLoaderOptions = {
    book,
    parsers,
    onChange: onRules,
    onSkipped: (versions) => metrics.namespaceRules('skipped', versions),
  };

  // First of all, so that the kubelet sees a server that lives while it still waits for the cluster.
  let stopping = false;
  let certificates: CertificateSource | undefined;
  let clusterFacts: ClusterFacts | undefined;
  let platform: WatchedPlatform | undefined;
  let leader: LeaderElection | undefined;
  let registration: Registration | undefined;
  let client: ApiClient | undefined;
  let authorityUnknown: () => string | undefined = () => undefined;
  const clocks = () => [Date.now(), client?.serverTime() ?? Date.now()];
  const missingOfCluster = () => clusterFacts?.missing() ?? platform?.missing();
  const troubleWithCertificate = () =>
    certificates ? explainInvalidity(certificates.current().certificate, clocks()) : 'there is no certificate yet';
  const readiness = [
    { name: 'rules', missing: () => book.missing() ?? intake?.opening() },
    {
      name: 'cluster',
      missing: missingOfCluster,
      notes: () => [
        ...(clusterFacts ? renderFactGaps(clusterFacts.gaps()) : []),
        ...(registration ? renderRegistrationNotes(registration) : []),
      ],
    },
    { name: 'certificate', missing: () => troubleWithCertificate() ?? authorityUnknown() },
    { name: 'running', missing: () => (stopping ? 'shutting down' : undefined) },
  ];
  const metrics = createMetrics({
    version: packageJson.version,
    kinds,
    readiness,
    leads: () => leader?.leads(),
    refusedRules: () => book.refused(),
    waitingNamespaces: () => intake?.waiting() ?? 0,
    certificate: () => certificates && validityOf(certificates.current().certificate),
    followed: () => client?.followed ?? [],
    registration: () => registration,
    factGaps: () => clusterFacts?.gaps(),
    auditDelivery: outputs.auditDelivery,
    now: Date.now,
  });
  const health = createHealthServer(readiness, metrics);
  await listen(health, settings, 'healthPort', log);

  client =
    settings.cluster &&
    connectApi(await loadKubeConfig(kubeConfigChoice(settings.cluster, env)).catch(asConfiguration), { streamsInitialState: true });
  if (client) {
    // Before anything waits for the cluster. Without one, a mistake in the rules stays a single line.
    tellSettings(settings, log);
    const facts = watchClusterFacts({ client, log, kinds });
    clusterFacts = facts;
    closers.push(() => facts.close());
    const watched = watchPlatform({
      client,
      log,
      onChange() {
        const says = watched.current();
        const written = book.current();
        const before = inForce(written);
        if (!says || !onPlatform.change(says) || !written || !before) return;
        const after = onPlatform.apply(written);
        if (after.ruleSet.revision !== before.revision) tell([changeOfPlatform(before, after)]);
      },
    });
    platform = watched;
    closers.push(() => watched.close());
  }
  if (settings.rulePaths.length > 0) {
    const files = await followRuleFiles(settings, intoBook, log);
    intake = files.intake;
    closers.unshift(files.close);
  } else if (client && settings.cluster) {
    const place = { client, namespace: settings.cluster.namespace, log };
    const followed = await followClusterRules({ ...place, namespaceRules: settings.namespaceRules }, intoBook);
    intake = followed.intake;
    closers.unshift(followed.close);
  }
  // Without --register there is nothing to write but the Secret, which any replica may.
  let listening = false;
  const canAnswer = () => book.missing() === undefined && missingOfCluster() === undefined;
  // Not whether the API server knows the authority: to publish that is what the leader is for.
  const able = () => listening && !stopping && canAnswer() && troubleWithCertificate() === undefined;
  leader =
    client && settings.cluster && settings.register
      ? createLeaderElection({ client, namespace: settings.cluster.namespace, name: settings.service, able, log })
      : undefined;
  const { source: bare, caFile } = await openCertificates(settings, client, leader, log);
  const published = client && settings.register ? watchPublishedCas({ client, log }) : undefined;
  const onProgress = (message: string) => log.info({}, message);
  const source = published ? waitForPublishedCa(bare, { trusted: published, clocks, onProgress }) : bare;
  certificates = source;
  if (published) authorityUnknown = missingUntilPublished(source, published);
  closers.push(() => source.close());
  if (published) closers.push(() => published.close());

  const guarded = settings.cluster !== undefined && settings.rulePaths.length === 0 ? settings.cluster.namespace : undefined;
  const guardParsers = {
    cluster: createDocumentParser({ milliseconds: 3_500 }),
    namespaces: createDocumentParser({ ...namespaceLimits, idleMilliseconds: 60_000 }),
  };
  closers.push(() => guardParsers.cluster.close());
  closers.push(() => guardParsers.namespaces.close());
  const guard = guarded !== undefined && {
    review: createRulesReviewer({
      settings: { namespace: guarded, namespaceRules: settings.namespaceRules },
      book,
      parsers: guardParsers,
      news,
      lint: lintBriefly,
    }),
    audit: (record: RulesReviewRecord) => {
      auditLog.write(record);
      metrics.reviewed(record);
    },
  };

  const unwatched = { ...noFacts(Date.now), kinds };
  const webhook = createWebhookServer(
    {
      rules: (namespace) => (intake?.isUnread(namespace) ? undefined : inForce(book.current())),
      facts: () => (clusterFacts ? (platform?.missing() === undefined ? clusterFacts.current() : undefined) : unwatched),
      audit: (record, counted) => {
        auditLog.write(record);
        metrics.decided(record, counted);
      },
      reportBug: (err, uid) => {
        log.error({ err, uid }, 'a bug: the request was refused');
        metrics.failed('bug');
      },
      failed: metrics.failed,
      ...(guard && { guard }),
    },
    { tls: source.current(), bodies: { milliseconds: settings.webhookPolicy.timeoutSeconds * 1_000 } },
  );
  const tellAge = ({ certificate }: ServerCertificate) => {
    const complaint = explainInvalidity(certificate, clocks());
    if (complaint !== undefined) log.error({}, `no client will take the certificate: ${complaint}`);
  };
  tellAge(source.current());
  let shown = source.current();
  source.onChange((next) => {
    const { certificate, key } = next;
    if (certificate === shown.certificate && key === shown.key) return;
    shown = next;
    tellAge(next);
    webhook.server.setSecureContext({ cert: certificate, key, minVersion: minimumTlsVersion });
    log.info({}, 'serving a new certificate');
  });
  await listen(webhook as unknown as FastifyInstance, settings, 'port', log);
  if (!client) tellSettings(settings, log);
  listening = true;

  if (client && settings.cluster && settings.register) {
    const place = { client, namespace: settings.cluster.namespace, service: settings.service, certificates: source, log };
    const registered = manageRegistration({
      ...place,
      excludedNamespaces: settings.excludedNamespaces,
      policy: settings.webhookPolicy,
      kinds: kinds.rows,
      guard: guarded !== undefined,
      ready: canAnswer,
      enforcer: settings.admissionsEnforcer,
      onRepair: metrics.webhookRepaired,
      leadership: leader,
      prove: createReachabilityProbe(place),
    });
    registration = registered;
    closers.unshift(() => registered.close());
  }

  return {
    url: `https://${hostOf(settings.host)}:${portOf(webhook as unknown as FastifyInstance)}`,
    healthUrl: `http://${hostOf(settings.host)}:${portOf(health)}`,
    book,
    caFile,
    log,
    async stop() {
      stopping = true;
      webhook.drain();
      const released = leader?.release();
      log.info({ drainMilliseconds: settings.drainMilliseconds }, 'shutting down: not ready any more, still answering');
      await new Promise((resolve) => setTimeout(resolve, settings.drainMilliseconds));
      await webhook.finish();
      await released;
      for (const close of closers) await close();
      await client?.close();
      await health.close();
      log.info({}, 'stopped: every request was answered');
      await outputs.finish();
    },
  };
}

function tellSettings({ told, overruled, register, webhookPolicy, named }: Settings, log: Logger): void {
  if (told.length > 0) log.info({ settings: told }, 'settings that differ from the defaults');
  for (const { variable, flag } of overruled) log.warn({}, `${variable} has no effect: ${flag} is given, and a flag wins over a variable`);
  if (register && webhookPolicy.failurePolicy === 'Ignore') {
    log.warn({}, `${named('failurePolicy')} is Ignore: while no replica answers, every image is let in, and no secret is added`);
  }
}

async function readKinds({ extraKindFiles, named }: Settings): Promise<Kinds> {
  const loaded = await loadExtraKinds(extraKindFiles);
  if (!loaded.ok) throw new ConfigurationError(loaded.problems.map((problem) => `${named('extraKinds')}: ${problem}`).join('\n'));
  return loaded.kinds;
}

/** For failures that the operator can fix: the message is for them, and a stack would help nobody. */
function asConfiguration(error: unknown): never {
  throw new ConfigurationError(error instanceof Error ? error.message : String(error));
}

function kubeConfigChoice(cluster: NonNullable<Settings['cluster']>, env: Environment) {
  return {
    ...(cluster.kubeconfig !== undefined && { file: cluster.kubeconfig }),
    ...(cluster.context !== undefined && { context: cluster.context }),
    env,
  };
}

type Outputs = {
  readonly log: Logger;
  readonly auditLog: AuditLog;
  readonly auditDelivery: () => Delivery;
  /** Resolves when all is out that can be got out within a few seconds. */
  finish(): Promise<void>;
};

/** Whether a record can be written decides on no request: what auditors would miss, the log, a metric and an alert tell. */
function openOutputs(settings: Settings): Outputs {
  const logLines = openDestination(2, {
    onWell: (lost) => void (lost > 0 && log.error({ lost }, `${lost} lines of this log were lost: they could not be written for a while`)),
  });
  const log = createLogger(settings.logLevel, logLines);
  const place = settings.auditLog === '-' ? 'standard output' : settings.auditLog;
  const records = openAuditDestination(settings, {
    onFailing: (reason) =>
      log.error(
        { file: place },
        `audit records cannot be written to ${place}: ${reason}; requests are answered all the same, and it is tried again`,
      ),
    onWell: (lost) => {
      const well = `audit records are written to ${place} again`;
      if (lost > 0) log.error({ file: place, lost }, `${well}; ${lost} were lost`);
      else log.info({ file: place, lost }, `${well}; none was lost`);
    },
  });
  return {
    log,
    auditLog: createAuditLog(records),
    auditDelivery: records.delivery,
    async finish() {
      await records.flush();
      const { waiting } = records.delivery();
      if (waiting > 0)
        log.error({ file: place, lost: waiting }, `the last ${waiting} audit records could not be written to ${place}, and are lost`);
      await logLines.flush();
    },
  };
}

function openAuditDestination({ auditLog, named }: Settings, options: DestinationOptions): LogDestination {
  try {
    return openDestination(auditLog === '-' ? 1 : auditLog, options);
  } catch (error) {
    throw new ConfigurationError(`${named('auditLog')} ${auditLog}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

async function followRuleFiles(settings: Settings, { onChange, ...into }: RuleLoaderOptions, log: Logger) {
  const problems: string[] = [];
  let started = false;
  const intake = createRuleLoader({
    ...into,
    onChange: (changes) => {
      if (!started)
        problems.push(
          ...changes.flatMap((change) => change.problems.map((problem) => `${renderOrigin(problem.origin)}: ${problem.message}`)),
        );
      if (started || problems.length === 0) onChange(changes);
    },
  });
  const files = await watchRuleFiles({
    paths: settings.rulePaths,
    intake,
    onProblem: (message) => log.error({}, `${message} (the last rules stay in force)`),
    onReadable: () => log.info({}, 'the files of the rules can be read again'),
  }).catch((error: unknown) => {
    const lines = (error instanceof Error ? error.message : String(error)).split('\n');
    throw new ConfigurationError(lines.map((line) => `${settings.named('rules')}: ${line}`).join('\n'));
  });
  started = true;
  if (problems.length > 0) {
    files.close();
    throw new ConfigurationError(problems.join('\n'));
  }
  return { intake, close: () => files.close() };
}

async function followClusterRules(place: SnapshotOptions & { readonly namespaceRules: boolean }, { onChange, ...into }: RuleLoaderOptions) {
  const snapshot = createSnapshotWriter(place);
  const lastGood = await readSnapshot(place);
  const intake = createRuleLoader({
    ...into,
    onChange: (changes) => {
      onChange(changes);
      // Those of namespaces are not in it; to write all of it down for each of their changes would cost more than the change.
      if (into.book.current() && changes.some(({ scope }) => scope.kind === 'cluster')) snapshot.save(into.book.accepted());
    },
  });
  const source = watchClusterRules({ ...place, intake, lastGood });
  const close = async () => {
    await source.close();
    snapshot.close();
  };
  return { intake, close };
}

type OpenCertificates = { readonly source: CertificateSource; readonly caFile: string | undefined };

async function openCertificates(
  settings: Settings,
  client: ApiClient | undefined,
  leadership: LeaderElection | undefined,
  log: Logger,
): Promise<OpenCertificates> {
  const { tls } = settings;
  switch (tls.mode) {
    case 'self': {
      if (!client || !settings.cluster) throw new Error('settings promised a cluster');
      const { namespace } = settings.cluster;
      const { service } = settings;
      const source = await manageCertificateSecret({ client, namespace, secretName: tls.secretName, service, leadership, log });
      return { source, caFile: undefined };
    }
    case 'files': {
      const onProblem = (message: string) => log.error({}, message);
      const { certificate, key, authorities } = tls;
      // Registered as a Service, we are called by its name.
      const names = settings.register && settings.cluster && [`${settings.service}.${settings.cluster.namespace}.svc`];
      const files = { certificate, key, ...(authorities !== undefined && { authorities }), ...(names && { names }) };
      const source = await watchCertificateFiles({ ...files, onProblem }).catch(asConfiguration);
      return { source, caFile: authorities };
    }
    case 'dev': {
      const made = await ensureDevelopmentCertificates({ directory: tls.directory, hosts: [], now: new Date() }).catch(asConfiguration);
      const source = await watchCertificateFiles({
        certificate: made.certificateFile,
        key: made.keyFile,
        authorities: made.caFile,
        onProblem: (message) => log.error({}, message),
      }).catch(asConfiguration);
      return { source, caFile: made.caFile };
    }
  }
}

/** A change of the rules in force: of what is written, or of what the cluster adds to it. */
type ToldChange = Omit<RulesChange, 'id' | 'sources'> & {
  readonly sources: readonly (RuleSource | ClusterObject)[];
  /** Rules without effect on this cluster. */
  readonly conflicts: () => readonly Problem[];
};

function changeOnPlatform(change: RulesChange, onPlatform: RulesOnPlatform): ToldChange {
  const before = change.before && onPlatform.apply(change.before).ruleSet;
  const after = change.after && onPlatform.apply(change.after);
  return { ...change, before, after: after?.ruleSet, conflicts: () => after?.conflicts() ?? [] };
}

function changeOfPlatform(before: RuleSet, { ruleSet: after, conflicts }: PlatformRules): ToldChange {
  const origins = [...before.rules, ...after.rules].map(({ origin }) => origin.source);
  const objects = new Map(origins.flatMap((source) => (source.kind === 'cluster' ? [[source.object, source] as const] : [])));
  return { scope: { kind: 'cluster' }, sources: [...objects.values()], before, after, conflicts, problems: [], warnings: [] };
}

/** Of changes of the cluster's rules: one line for each problem and warning of a change, one record for each change, and one line for what is in force then. */
function tellRules(changes: readonly ToldChange[], book: RuleStore, log: Logger, auditLog: AuditLog): void {
  for (const change of changes) {
    auditLog.write(buildRulesRecord(change));
    const { problems, warnings, alert } = change;
    for (const { code, origin, message } of problems) {
      log.error({ code, ...origin }, `rules refused, the last good ones stay in force: ${renderOrigin(origin)}: ${message}`);
    }
    for (const { code, origin, message } of warnings) log.warn({ code, ...origin }, `${renderOrigin(origin)}: ${message}`);
    if (alert !== undefined) log.error({}, alert);
  }
  const [{ before, after } = { before: undefined, after: undefined }] = changes;
  if (after && after.revision !== before?.revision) {
    const { revision, rules, settings, namespaceRules } = after;
    const { mode, unconfigured } = settings;
    const ofNamespaces = namespaceRules.size > 0 && { namespacesWithRules: namespaceRules.size };
    log.info({ rulesRevision: revision, rules: rules.length, mode, unconfigured, ...ofNamespaces }, 'rules are in force');
    for (const { code, origin, message } of changes[0]?.conflicts() ?? [])
      log.error({ code, ...origin }, `${renderOrigin(origin)}: ${message}`);
  }
  const missing = book.missing();
  if (missing !== undefined) log.error({}, `not ready: ${missing}`);
}

/** What is allowed and probably not meant, each once: at the next change the rest is still the same. */
function createAdvice(log: Logger): (rules: RuleSet) => void {
  let told = new Set<string>();
  return (rules) => {
    const lines = lintBriefly(rules).map((warning) => ({ ...warning, text: `${renderOrigin(warning.origin)}: ${warning.message}` }));
    for (const { code, origin, text } of lines) if (!told.has(text)) log.warn({ code, ...origin }, text);
    told = new Set(lines.map(({ text }) => text));
  };
}

/** Requests wait meanwhile: 1,000 rules take some 80 ms. Of more, `regkeeper lint` tells. */
function lintBriefly(rules: RuleSet): readonly Problem[] {
  return rules.rules.length > 1_000 ? [] : lintRules(rules, dayOf(Date.now()));
}

function hostOf(host: string): string {
  if (host === '127.0.0.1' || host === '::' || host === '0.0.0.0' || host === '::1') return 'localhost';
  return host.includes(':') ? `[${host}]` : host;
}

function portOf(app: FastifyInstance): number {
  const address = app.server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}
