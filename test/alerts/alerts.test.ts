/** Checks with promtool that each alert in deploy/ fires for its own fault and for no other. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { parse } from 'yaml';
import { findPromtool } from './promtool.ts';

const root = resolve(import.meta.dirname, '../..');
const alertsFile = join(root, 'deploy/chart/files/alerts.yaml');

type Rule = { readonly alert: string; readonly annotations: Readonly<Record<string, string>> };
const { groups } = parse(await readFile(alertsFile, 'utf8')) as { groups: { rules: Rule[] }[] };
const names = groups.flatMap(({ rules }) => rules.map(({ alert }) => alert));

const promtool = await findPromtool(process.env);
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'regkeeper-alerts-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

/** One value a minute, in promtool's notation. Source: prometheus.io, "Unit Testing for Rules". */
type Series = Readonly<Record<string, string>>;
const day = 86_400;

/** Two healthy replicas during the first two hours of 1970. The certificate is valid for 90 days, half of which are left. */
const healthy: Series = {
  ...onBoth('up', '1x120'),
  ...onBoth('regkeeper_ready', '1x120', 'check="rules"'),
  ...onBoth('regkeeper_ready', '1x120', 'check="cluster"'),
  ...onBoth('regkeeper_ready', '1x120', 'check="running"'),
  ...on('one', 'regkeeper_leader', '1x120'),
  ...on('two', 'regkeeper_leader', '0x120'),
  ...onBoth('regkeeper_certificate_start_timestamp_seconds', `${-45 * day}x120`),
  ...onBoth('regkeeper_certificate_expiry_timestamp_seconds', `${45 * day}x120`),
  ...onBoth('regkeeper_rules_problems', '0x120', 'scope="cluster"'),
  ...onBoth('regkeeper_rules_problems', '3x120', 'scope="namespace"'),
  ...onBoth('regkeeper_rules_revision_info', '1x120', 'revision="a"'),
  ...onBoth('regkeeper_watch_last_contact_seconds', '65x120', 'resource="secrets"'),
  ...onBoth('regkeeper_webhook_repairs_total', '0x120', 'change="weakened"'),
  ...onBoth('regkeeper_webhook_repairs_total', '0x120', 'change="narrowed"'),
  ...onBoth('regkeeper_webhooks_narrowed', '0x120'),
  ...onBoth('regkeeper_api_unavailable', '0x120', 'api="apps.openshift.io/v1"'),
  ...onBoth('regkeeper_secret_delivery_running', '1x120'),
  ...delivery('up', '1x120'),
  ...delivery('regkeeper_ready', '1x120', 'check="policy"'),
  ...delivery('regkeeper_leader', '1x120'),
  ...delivery('regkeeper_rules_problems', '0x120', 'scope="cluster"'),
  ...delivery('regkeeper_rules_revision_info', '1x120', 'revision="a"'),
  ...delivery('regkeeper_delivery_policy_verified', '1x120'),
  ...delivery('regkeeper_delivery_source_usable', '1x120', 'source="corp-pull"'),
  ...delivery('regkeeper_delivery_writes_total', '0x120', 'action="create",outcome="failed"'),
  ...delivery('regkeeper_delivery_writes_total', '0+50x120', 'action="create",outcome="written"'),
  ...delivery('regkeeper_delivery_findings', '0x120', 'finding="foreign"'),
  ...delivery('regkeeper_delivery_findings', '3x120', 'finding="content-unavailable"'),
  ...onBoth('regkeeper_audit_log_failing', '0x120'),
  ...onBoth('regkeeper_audit_records_lost_total', '0x120'),
  ...onBoth('regkeeper_admission_failures_total', '0x120', 'reason="bug"'),
  ...onBoth('regkeeper_admission_failures_total', '0x120', 'reason="unknown-kind"'),
  ...onBoth('regkeeper_admission_failures_total', '0x120', 'reason="overload"'),
  ...onBoth('regkeeper_admission_failures_total', '0x120', 'reason="unauthenticated"'),
  ...onBoth('regkeeper_admission_failures_total', '0+1x120', 'reason="stale-cache"'),
  ...onBoth('regkeeper_admission_duration_seconds_bucket', '0+100x120', 'webhook="mutate",le="0.5"'),
  ...onBoth('regkeeper_admission_duration_seconds_bucket', '0+100x120', 'webhook="mutate",le="5"'),
  ...onBoth('regkeeper_admission_duration_seconds_bucket', '0+100x120', 'webhook="mutate",le="+Inf"'),
  ...onBoth('nodejs_eventloop_lag_max_seconds', '0.02x120'),
  ...onBoth('regkeeper_exemption_expiry_timestamp_seconds', `${30 * day}x120`, 'pattern="quay.io/x",until="1970-01-30",source="s"'),
  ...onBoth('regkeeper_rule_expiry_timestamp_seconds', `${30 * day}x120`, 'rule="old",until="1970-01-30",source="s"'),
};

function on(instance: string, name: string, values: string, labels = ''): Series {
  const all = ['namespace="regkeeper"', 'job="regkeeper"', `instance="${instance}"`, labels].filter((each) => each !== '').join(',');
  return { [`${name}{${all}}`]: values };
}

/** Of a replica of secret delivery. */
function delivery(name: string, values: string, labels = ''): Series {
  const all = ['namespace="regkeeper"', 'job="regkeeper-deliver"', 'instance="three"', labels].filter((each) => each !== '').join(',');
  return { [`${name}{${all}}`]: values };
}

function onBoth(name: string, values: string, labels?: string): Series {
  return { ...on('one', name, values, labels), ...on('two', name, values, labels) };
}

/** Each row is a fault, as series that replace healthy ones, and the alerts that fire. `_` is a minute without a value. */
const troubles: [trouble: string, series: Series, firing: readonly string[]][] = [
  ['nothing', {}, []],
  ['no replica is scraped any longer', { ...onBoth('up', '1x30 _x90') }, ['RegkeeperDown']],
  ['no replica responds', { ...onBoth('up', '0x120') }, ['RegkeeperDown', 'RegkeeperReplicaDown']],
  ['one replica does not respond', { ...on('one', 'up', '0x120') }, ['RegkeeperReplicaDown']],
  [
    'no replica is ready, each for a different reason',
    { ...on('one', 'regkeeper_ready', '0x120', 'check="rules"'), ...on('two', 'regkeeper_ready', '0x120', 'check="cluster"') },
    ['RegkeeperNotReady', 'RegkeeperReplicaNotReady'],
  ],
  ['one replica has no rules', { ...on('one', 'regkeeper_ready', '0x120', 'check="rules"') }, ['RegkeeperReplicaNotReady']],
  ['one replica shuts down', { ...on('one', 'regkeeper_ready', '0x120', 'check="running"') }, []],
  [
    'a certificate with 17 of its 90 days left',
    { ...onBoth('regkeeper_certificate_start_timestamp_seconds', `${-73 * day}x120`), ...lasting(17 * day) },
    ['RegkeeperCertificateNotRenewed'],
  ],
  [
    'a certificate with 4 of its 90 days left',
    { ...onBoth('regkeeper_certificate_start_timestamp_seconds', `${-86 * day}x120`), ...lasting(4 * day) },
    ['RegkeeperCertificateExpires', 'RegkeeperCertificateNotRenewed'],
  ],
  [
    'a certificate that is valid for a day, half of which is left',
    { ...onBoth('regkeeper_certificate_start_timestamp_seconds', `${-0.5 * day}x120`), ...lasting(0.6 * day) },
    [],
  ],
  ['invalid rules', { ...on('one', 'regkeeper_rules_problems', '2x120', 'scope="cluster"') }, ['RegkeeperRulesRejected']],
  [
    'a different rules revision on one replica',
    {
      ...on('one', 'regkeeper_rules_revision_info', '_x120', 'revision="a"'),
      ...on('one', 'regkeeper_rules_revision_info', '1x120', 'revision="b"'),
    },
    ['RegkeeperReplicasHaveDifferentRules'],
  ],
  ['a stalled watch', { ...on('one', 'regkeeper_watch_last_contact_seconds', '65+60x120', secrets()) }, ['RegkeeperWatchStalled']],
  ['no leader', { ...onBoth('regkeeper_leader', '0x120') }, ['RegkeeperNoLeader']],
  [
    'another writer that keeps weakening the webhooks',
    { ...on('one', 'regkeeper_webhook_repairs_total', '0+60x120', 'change="weakened"') },
    ['RegkeeperWebhooksWeakened'],
  ],
  [
    'another writer that keeps narrowing the webhooks',
    { ...on('one', 'regkeeper_webhooks_narrowed', '2x120') },
    ['RegkeeperWebhooksOverwritten'],
  ],
  [
    'another writer whose narrowing is reverted again and again',
    { ...on('one', 'regkeeper_webhook_repairs_total', '0+1x120', 'change="narrowed"') },
    ['RegkeeperWebhooksOverwritten'],
  ],
  [
    'a namespace over its memory budget',
    { ...onBoth('regkeeper_namespace_over_budget', '1x120', 'exported_namespace="shop"') },
    ['RegkeeperNamespaceOverBudget'],
  ],
  ['secret delivery that stopped', { ...onBoth('regkeeper_secret_delivery_running', '0x120') }, ['RegkeeperSecretDeliveryStopped']],
  ['secret delivery that is restarted', { ...onBoth('regkeeper_secret_delivery_running', '1x50 0x4 1x66') }, []],
  ['secret delivery that one replica cannot see', { ...on('one', 'regkeeper_secret_delivery_running', '0x120') }, []],
  [
    'secret delivery whose policy was deleted',
    delivery('regkeeper_delivery_policy_verified', '0x120'),
    ['RegkeeperDeliveryPolicyNotVerified'],
  ],
  [
    'a source that was deleted',
    delivery('regkeeper_delivery_source_usable', '0x120', 'source="corp-pull"'),
    ['RegkeeperDeliverySourceUnusable'],
  ],
  [
    'copies that cannot be written',
    delivery('regkeeper_delivery_writes_total', '0+1x120', 'action="create",outcome="failed"'),
    ['RegkeeperDeliveryFailing'],
  ],
  ['two writes of copies that failed', delivery('regkeeper_delivery_writes_total', '0x50 2x70', 'action="create",outcome="failed"'), []],
  [
    'a foreign Secret in place of a copy',
    delivery('regkeeper_delivery_findings', '1x120', 'finding="foreign"'),
    ['RegkeeperDeliveryBlocked'],
  ],
  ['a foreign Secret for a moment', delivery('regkeeper_delivery_findings', '0x50 1x70', 'finding="foreign"'), []],
  [
    'secret delivery that is not ready, and has no leader',
    { ...delivery('regkeeper_ready', '0x120', 'check="policy"'), ...delivery('regkeeper_leader', '0x120') },
    [],
  ],
  ['two edits of the webhooks by hand', { ...on('one', 'regkeeper_webhook_repairs_total', '0x50 1x20 2x50', 'change="weakened"') }, []],
  ['an unavailable API', { ...on('one', 'regkeeper_api_unavailable', '1x120', 'api="apps.openshift.io/v1"') }, ['RegkeeperApiUnavailable']],
  ['no leader, where leader election is off', { ...onBoth('regkeeper_leader', '_x120') }, []],
  ['audit records that wait to be written', { ...on('one', 'regkeeper_audit_log_failing', '0x30 1x90') }, ['RegkeeperAuditNotWritten']],
  [
    'audit records that were lost five minutes ago',
    { ...on('one', 'regkeeper_audit_records_lost_total', '0x55 5x65') },
    ['RegkeeperAuditNotWritten'],
  ],
  ['audit records that were lost long ago', { ...on('one', 'regkeeper_audit_records_lost_total', '0x10 5x110') }, []],
  ['one bug', { ...on('one', 'regkeeper_admission_failures_total', '0x50 1x70', 'reason="bug"') }, ['RegkeeperBug']],
  ['a bug that occurred long ago', { ...on('one', 'regkeeper_admission_failures_total', '0x10 1x110', 'reason="bug"') }, []],
  [
    'a kind that is not evaluated',
    { ...on('one', 'regkeeper_admission_failures_total', '0x50 1x70', 'reason="unknown-kind"') },
    ['RegkeeperUnknownKind'],
  ],
  [
    'callers without a client certificate',
    { ...on('one', 'regkeeper_admission_failures_total', '0+1x120', 'reason="unauthenticated"') },
    ['RegkeeperUnauthenticatedCallers'],
  ],
  [
    'too many requests at a time',
    { ...on('one', 'regkeeper_admission_failures_total', '0+1x120', 'reason="overload"') },
    ['RegkeeperOverloaded'],
  ],
  [
    'slow responses',
    { ...onBoth('regkeeper_admission_duration_seconds_bucket', '0+90x120', 'webhook="mutate",le="0.5"') },
    ['RegkeeperSlow'],
  ],
  [
    'slow reviews of rules, which may take longer',
    {
      ...onBoth('regkeeper_admission_duration_seconds_bucket', '0x120', 'webhook="guard",le="0.5"'),
      ...onBoth('regkeeper_admission_duration_seconds_bucket', '0+100x120', 'webhook="guard",le="5"'),
      ...onBoth('regkeeper_admission_duration_seconds_bucket', '0+100x120', 'webhook="guard",le="+Inf"'),
    },
    [],
  ],
  ['a blocked event loop', { ...on('one', 'nodejs_eventloop_lag_max_seconds', '2x120') }, ['RegkeeperSlow']],
  ['an exemption that ends in six days', exempted(6 * day), ['RegkeeperExemptionEnds']],
  ['an exemption that has ended', exempted(-day), []],
  ['a rule whose trust ends in six days', trusted(6 * day), ['RegkeeperRuleEnds']],
  ['a rule whose trust has ended', trusted(-day), []],
];

function lasting(seconds: number): Series {
  return onBoth('regkeeper_certificate_expiry_timestamp_seconds', `${seconds}x120`);
}

function exempted(seconds: number): Series {
  const labels = 'pattern="quay.io/x",until="1970-01-30",source="s"';
  return onBoth('regkeeper_exemption_expiry_timestamp_seconds', `${seconds}x120`, labels);
}

function trusted(seconds: number): Series {
  return onBoth('regkeeper_rule_expiry_timestamp_seconds', `${seconds}x120`, 'rule="old",until="1970-01-30",source="s"');
}

function secrets(): string {
  return 'resource="secrets"';
}

const met = /^Unit Testing: .*\n {2}SUCCESS\n/m;

/** The output of promtool for these expectations. It names each expectation that is not met. */
async function runRules(series: Series, tests: object): Promise<string> {
  const input_series = Object.entries({ ...healthy, ...series }).map(([name, values]) => ({ series: name, values }));
  const file = join(folder, 'test.json');
  const whole = { rule_files: [alertsFile], evaluation_interval: '1m', tests: [{ interval: '1m', input_series, ...tests }] };
  await writeFile(file, JSON.stringify(whole));
  const { output } = await promtool(['test', 'rules', file]);
  return output;
}

test('promtool accepts the rules', async () => {
  expect(await promtool(['check', 'rules', '--lint-fatal', alertsFile])).toMatchObject({ code: 0 });
});

describe('what fires after an hour of', () => {
  test.each(troubles)('%s', async (_trouble, series, firing) => {
    const expr = 'count by (alertname) (ALERTS{alertstate="firing"}) > bool 0';
    const exp_samples = firing.map((alertname) => ({ labels: `{alertname="${alertname}"}`, value: 1 }));
    expect(await runRules(series, { promql_expr_test: [{ expr, eval_time: '60m', exp_samples }] })).toMatch(met);
  });

  test('every alert is covered by a fault', () => {
    expect([...new Set(troubles.flatMap(([, , firing]) => firing))].sort()).toEqual([...names].sort());
  });
});

test('a replica that restarts, and a rollout that takes five minutes, page no one', async () => {
  const rollout = {
    ...on('one', 'up', '1x60 0x3 1x57'),
    ...on('one', 'regkeeper_ready', '1x60 0x5 1x55', 'check="rules"'),
    ...on('one', 'regkeeper_rules_revision_info', '_x60 1x5 stale', 'revision="b"'),
  };
  const noAlerts = Array.from({ length: 20 }, (_, minute) => ({
    expr: 'ALERTS{alertstate="firing"}',
    eval_time: `${55 + minute}m`,
    exp_samples: [],
  }));
  expect(await runRules(rollout, { promql_expr_test: noAlerts })).toMatch(met);
});

test('an alert shows which replica is affected, and what it lacks', async () => {
  const labels = { namespace: 'regkeeper', job: 'regkeeper', instance: 'one', check: 'rules', severity: 'warning' };
  const annotations = {
    summary: 'Replica one of regkeeper is not ready. The check rules is failing.',
    description: 'Any other ready replicas are still serving requests. The /readyz endpoint of this replica shows what is missing.',
    runbook: 'docs/operations.md#health-and-readiness',
  };
  const exp_alerts = [{ exp_labels: labels, exp_annotations: annotations }];
  const alert_rule_test = [{ eval_time: '30m', alertname: 'RegkeeperReplicaNotReady', exp_alerts }];
  const series = on('one', 'regkeeper_ready', '0x120', 'check="rules"');
  expect(await runRules(series, { alert_rule_test })).toMatch(met);
});

test('promtool finds no problem in the metrics of a server that has handled requests', async () => {
  const server = spawn(process.execPath, [join(root, 'src/main.ts'), ...'serve --dev --port 0 --health-port 0'.split(' ')], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  onTestFinished(() => void server.kill('SIGKILL'));
  let log = '';
  server.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    log += chunk;
  });
  const [url, healthUrl] = await vi.waitFor(
    () => {
      const [, ...urls] = /is running: (https:\S+?)\/mutate[\s\S]*metrics: (http:\S+?)\/readyz/.exec(log) ?? [];
      if (urls.length === 0) throw new Error(log);
      return urls;
    },
    { timeout: 30_000 },
  );
  const objects = join(root, 'deploy/examples/objects');
  const review = spawn(process.execPath, [join(root, 'src/main.ts'), 'review', '--server', url ?? '', objects], {
    cwd: root,
    stdio: 'ignore',
  });
  await once(review, 'exit');
  const metrics = await (await fetch(`${healthUrl}/metrics`)).text();
  expect(metrics).toMatch(/^regkeeper_admission_requests_total\{webhook="validate",.*outcome="denied"\} 1$/m);
  expect(await promtool(['check', 'metrics'], metrics)).toEqual({ code: 0, output: '' });
});
