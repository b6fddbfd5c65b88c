/** The monitoring manifests and alerts, compared with the metrics and the docs. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { deliveryMetrics } from '../../../src/observe/delivery-metrics.ts';
import { ownMetrics } from '../../../src/observe/metrics.ts';
import { anchors, pages, readPage, rows, section } from '../docs/pages.ts';

const root = join(import.meta.dirname, '../../..');
const read = (file: string) => parse(readFileSync(join(root, file), 'utf8'));

type Rule = { alert: string; expr: string; labels: { severity: string }; annotations: Record<string, string> };
const { groups } = read('deploy/chart/files/alerts.yaml') as { groups: { rules: Rule[] }[] };
const alerts = groups.flatMap(({ rules }) => rules);

test('the component has the alerts of the chart', () => {
  expect(read('deploy/monitoring/prometheus-rule.yaml').spec).toEqual({ groups });
});

test.each([
  { job: 'regkeeper', monitoring: 'monitoring', program: 'program' },
  { job: 'regkeeper-deliver', monitoring: 'secret-delivery-monitoring', program: 'secret-delivery' },
])('the ServiceMonitor for $job selects the Service and thus the health port of the container', ({ job, monitoring, program }) => {
  const { spec: monitor } = read(`deploy/${monitoring}/service-monitor.yaml`);
  const { metadata, spec: service } = read(`deploy/${monitoring}/service.yaml`);
  const deployment = read(`deploy/${program}/deployment.yaml`);
  const [{ ports }] = deployment.spec.template.spec.containers;
  expect(monitor.selector.matchLabels).toEqual(metadata.labels);
  expect(metadata.labels[monitor.jobLabel]).toBe(job);
  expect(monitor.endpoints).toMatchObject([{ port: service.ports[0].name, path: '/metrics' }]);
  expect(ports).toContainEqual({ name: service.ports[0].targetPort, containerPort: service.ports[0].port });
  expect(deployment.spec.template.metadata.labels).toMatchObject(service.selector);
});

describe.each(alerts)('the alert $alert', ({ expr, annotations, labels }) => {
  test('has a summary, a description and a runbook', () => {
    expect(Object.keys(annotations).sort()).toEqual(['description', 'runbook', 'summary']);
    expect(['critical', 'warning']).toContain(labels.severity);
    const [page = '', anchor] = (annotations.runbook ?? '').split('#');
    expect(pages).toContain(page);
    if (anchor !== undefined) expect(anchors(page)).toContain(anchor);
  });

  test('uses existing metrics', () => {
    const known: string[] = [...Object.values(ownMetrics), ...Object.values(deliveryMetrics)].map(({ name }) => name);
    const asked = [...expr.matchAll(/\bregkeeper_\w+/g)].map(([name]) => name.replace(/_bucket$/, ''));
    expect(asked.filter((name) => !known.includes(name))).toEqual([]);
    expect(asked.length > 0 || expr.includes('up{job="regkeeper"}')).toBe(true);
  });
});

test('docs/metrics.md lists the alerts, with their severities', () => {
  const listed = rows(section(readPage('docs/metrics.md'), 'Alerts')).map(([name = '', severity]) => [name.replaceAll('`', ''), severity]);
  expect(listed).toEqual(alerts.map(({ alert, labels }) => [alert, labels.severity]));
});
