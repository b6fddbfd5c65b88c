/**
 * `npm run bench:burst`: creates Pods at a fixed rate through a real API server, right after the start of regkeeper, and counts those whose
 * webhook timed out. Prints results and asserts nothing.
 *
 *     npm run bench:burst -- --pods 10000 --seconds 10
 *
 * On two cores the API server itself creates some hundred Pods per second, so the latency of a Pod is mostly its own. The latency of the
 * webhooks is in its metrics.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { ApiError } from '../src/kube/api-client.ts';
import { startControlPlane } from '../test/cluster/control-plane.ts';
import { kubectlOf } from '../test/cluster/kubectl.ts';
import { buildProgram } from '../test/cluster/program.ts';
import { applyBase, ownNamespace, startRegkeeper } from '../test/cluster/regkeeper.ts';
import { waitFor } from '../test/cluster/wait-for.ts';

const { values } = parseArgs({ options: { pods: { type: 'string', default: '10000' }, seconds: { type: 'string', default: '10' } } });
const [pods, seconds] = [Number(values.pods), Number(values.seconds)];
/** The API server answers more than 200 writes at a time with 429. */
const inFlight = 150;
const namespace = 'burst';
const rules = 'mode: enforce\nunconfigured: deny\nrules: [{registry: good.example.com, pullSecret: corp}]\n';

const folder = mkdtempSync(join(tmpdir(), 'regkeeper-burst-'));
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
await buildProgram(folder);
const plane = await startControlPlane();
try {
  const kubectl = kubectlOf(plane);
  const api = await kubectl.api();
  await kubectl(['create', 'namespace', namespace]);
  await waitFor(async () => api.get(`/api/v1/namespaces/${namespace}/serviceaccounts/default`).catch(() => undefined), {
    deadlineSeconds: 30,
    what: 'the default ServiceAccount',
  });
  await applyBase(kubectl);
  const patch = JSON.stringify({ data: { 'rules.yaml': rules } });
  await kubectl(['patch', 'configmap', 'regkeeper-rules', '-n', ownNamespace, '--type=merge', '-p', patch]);
  console.log(`Node.js ${process.version}, ${availableParallelism()} × ${cpus()[0]?.model}, load average ${loadavg()[0]?.toFixed(1)}`);
  const { kubeconfig, directory, services } = plane;
  const flags = ['--webhook-timeout-seconds', '5'];
  const regkeeper = await startRegkeeper({
    kubectl,
    kubeconfig,
    directory: join(directory, 'regkeeper'),
    routeService: services.route,
    flags,
  });

  const latencies: number[] = [];
  const failures = new Map<string, number>();
  let sent = 0;
  let most = 0;
  const started = performance.now();
  const sender = async () => {
    for (let index = sent++; index < pods; index = sent++) {
      const planned = started + (index / pods) * seconds * 1_000;
      const wait = planned - performance.now();
      if (wait > 0) await pause(wait);
      most = Math.max(most, performance.now() - planned);
      try {
        await api.create(`/api/v1/namespaces/${namespace}/pods`, podOf(index));
        latencies.push(performance.now() - planned);
      } catch (error) {
        const what = error instanceof ApiError ? kindOf(error) : String(error);
        failures.set(what, (failures.get(what) ?? 0) + 1);
      }
    }
  };
  await Promise.all(Array.from({ length: inFlight }, sender));
  const took = (performance.now() - started) / 1_000;
  latencies.sort((one, other) => one - other);
  const at = (share: number) => ((latencies[Math.floor(share * (latencies.length - 1))] ?? Number.NaN) / 1_000).toFixed(1);
  console.log(`${pods} Pods planned in ${seconds} s: ${latencies.length} created in ${took.toFixed(1)} s (${(pods / took).toFixed(0)}/s)`);
  console.log(`seconds from the planned time: p50 ${at(0.5)}, p99 ${at(0.99)}. The client was at most ${(most / 1_000).toFixed(1)} s late`);
  console.log(`failed: ${failures.size === 0 ? 0 : JSON.stringify(Object.fromEntries(failures))}`);
  const metrics = await kubectl(['get', '--raw', '/metrics']);
  for (const line of webhookLatencies(metrics.stdout)) console.log(line);
  console.log(`load average at the end ${loadavg()[0]?.toFixed(1)}`);
  await regkeeper.end();
} finally {
  await plane.stop();
}

function podOf(index: number): object {
  const spec = { containers: [{ name: 'app', image: `good.example.com/shop/app-${index % 50}:v1` }] };
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name: `pod-${index}` }, spec };
}

function kindOf({ status, reason, message }: ApiError): string {
  if (/context deadline exceeded|Timeout/.test(message)) return message.includes('webhook') ? 'webhook timed out' : 'request timed out';
  return `${status} ${reason}`;
}

/** Counts and quantiles of the histogram `apiserver_admission_webhook_admission_duration_seconds`, for each webhook of Pods. */
function webhookLatencies(metrics: string): readonly string[] {
  const line = /^apiserver_admission_webhook_admission_duration_seconds_bucket\{([^}]*)\} (\d+)$/gm;
  const buckets = new Map<string, { le: number; count: number }[]>();
  for (const [, labels = '', count] of metrics.matchAll(line)) {
    const label = (name: string) => new RegExp(`${name}="([^"]*)"`).exec(labels)?.[1] ?? '';
    if (!label('name').includes('regkeeper') || label('operation') !== 'CREATE') continue;
    const name = `${label('name')} (${label('type')}, rejected ${label('rejected')})`;
    buckets.set(name, [
      ...(buckets.get(name) ?? []),
      { le: label('le') === '+Inf' ? Number.POSITIVE_INFINITY : Number(label('le')), count: Number(count) },
    ]);
  }
  return [...buckets].flatMap(([name, each]) => {
    const total = each.at(-1)?.count ?? 0;
    const below = (share: number) => each.find(({ count }) => count >= share * total)?.le;
    return total < 100
      ? []
      : [`${name}: ${total} calls, 50% within ${below(0.5)} s, 99% within ${below(0.99)} s, all within ${below(1)} s`];
  });
}
