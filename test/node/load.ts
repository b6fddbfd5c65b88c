/** Loads replicas: with large Pods through the API server, and one replica with what strangers can send at its Pod's address. */

import { Agent, request } from 'undici';
import type { ApiClient } from '../../src/kube/api-client.ts';
import { pod } from '../cluster/workloads.ts';
import { readCorpus, type Sent } from '../hostile/corpus.ts';
import { sleeping } from './target.ts';

/** How many requests had which result. */
export type Results = ReadonlyMap<string, number>;

/** So many Pods of 100 containers and 100 KiB, eight at a time, as dry runs. Nearly every Pod is smaller. */
export async function createLargePods(client: ApiClient, namespace: string, pods: number): Promise<Results> {
  const env = [{ name: 'TEXT', value: 'x'.repeat(1000) }];
  const containers = Array.from({ length: 100 }, (_, index) => ({ name: `c${index}`, image: `private.test/load-${index}:1`, env }));
  const object = pod('load', { ...sleeping(''), containers });
  const path = `/api/v1/namespaces/${namespace}/pods`;
  const create = () =>
    client.create(path, object, { dryRun: 'All' }).then(
      () => 'allowed',
      (error: Error) => error.message,
    );
  return await countResults(
    Array.from({ length: pods }, () => create),
    8,
  );
}

/** Entries of the corpus of hostile input that use the most memory. */
const costliest = [
  '20 bodies of 20 MiB at a time',
  '30 Pods of 10,000 containers at a time',
  '50 reviews of 1 MiB at a time, of rules of the cluster',
];

/** A fifth of each of these entries, all at the same time. Returns HTTP statuses, or `closed` for connections without an answer. */
export async function sendHostileBodies(podIP: string): Promise<Results> {
  const entries = (await readCorpus()).filter(({ name }) => costliest.includes(name));
  if (entries.length !== costliest.length) throw new Error(`the corpus of hostile input has only ${entries.map(({ name }) => name)}`);
  const bodies = entries.flatMap(({ sends = () => [] }) => sends().filter((_, index) => index % 5 === 0));
  const dispatcher = new Agent({ connect: { rejectUnauthorized: false }, headersTimeout: 120_000, bodyTimeout: 120_000 });
  const send = async ({ path, body }: Sent) => {
    const headers = { 'content-type': 'application/json' };
    const response = await request(`https://${podIP}:8443${path}`, { dispatcher, method: 'POST', body, headers });
    await response.body.dump();
    return String(response.statusCode);
  };
  try {
    return await countResults(
      bodies.map((body) => () => send(body).catch(() => 'closed')),
      bodies.length,
    );
  } finally {
    await dispatcher.close();
  }
}

async function countResults(all: readonly (() => Promise<string>)[], atOnce: number): Promise<Results> {
  const results = new Map<string, number>();
  const left = [...all];
  const worker = async () => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) {
      const result = await next();
      results.set(result, (results.get(result) ?? 0) + 1);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return results;
}
