/**
 * A scan of many Pods on a real API server: all are found, within the bounds of time and memory. 100 Pods by default. `TEST_SCAN_PODS=20000`
 * takes minutes, most of them to create the Pods. Prints the figures.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, onTestFinished, test } from 'vitest';
import type { KubeObject } from '../../../src/kube/api-client.ts';
import { programFile } from '../program.ts';
import { target, waitFor } from '../target.ts';
import { deployment, running } from '../workloads.ts';

const cluster = target();
const pods = Number(process.env.TEST_SCAN_PODS ?? 100);
const replicas = 20;
const bounds = { cpuSeconds: 60, peakMiB: 400 };

test(`finds ${pods} Pods within 60 s of CPU time and 400 MiB`, { timeout: 120_000 + pods * 30 }, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'rk-large-scan-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const api = await cluster.kubectl.api();
  const namespace = await cluster.namespace();
  for (let index = 0; index < pods / replicas; index++) {
    const registry = index % 10 === 0 ? 'docker.io/acme' : 'registry.example.com';
    const object = deployment(`app-${index}`, running(`${registry}/app-${index}:1`), { replicas });
    await api.create(`/apis/apps/v1/namespaces/${namespace}/deployments`, object);
  }
  const count = async () => {
    let found = 0;
    const keep = () => {
      found += 1;
      return undefined;
    };
    await api.list<KubeObject>(`/api/v1/namespaces/${namespace}/pods`, {}, { keep, pageSize: 500 });
    return found === pods;
  };
  await waitFor(count, { deadlineSeconds: 60 + pods / 40, what: `${pods} Pods` });

  await writeFile(join(folder, 'rules.yaml'), 'rules: [{registry: registry.example.com, pullSecret: corp-pull}]\n');
  const usageFile = join(folder, 'usage.json');
  const began = performance.now();
  const usage = join(resolve(import.meta.dirname, '../../..'), 'bench/report-usage.mjs');
  const words = ['scan', '-n', namespace, '--rules', join(folder, 'rules.yaml'), '--kubeconfig', cluster.kubeconfig, '-q', '-o', 'json'];
  const child = spawn(process.execPath, ['--import', usage, programFile(), ...words], {
    env: { ...process.env, USAGE_FILE: usageFile },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [output] = await Promise.all([text(child.stdout), once(child, 'exit')]);
  const seconds = (performance.now() - began) / 1000;

  const denied = Math.ceil(pods / replicas / 10);
  const { summary } = JSON.parse(output);
  expect(summary).toMatchObject({ workloads: pods / replicas, pods, denied });
  expect(summary.deniedWhenRecreated).toEqual({ workloads: denied, pods: denied * replicas, namespaces: 1 });
  const { cpuSeconds, peakMiB } = JSON.parse(await readFile(usageFile, 'utf8')) as typeof bounds;
  if (process.env.TEST_SCAN_PODS)
    console.log(`${pods} Pods: ${seconds.toFixed(1)} s, ${cpuSeconds.toFixed(1)} s of CPU time, ${peakMiB.toFixed()} MiB`);
  expect(cpuSeconds).toBeLessThan(bounds.cpuSeconds);
  expect(peakMiB).toBeLessThan(bounds.peakMiB);
});
