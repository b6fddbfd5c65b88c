/** The load generator where there is no Go. It runs the same jobs as `load/main.go`, and costs more CPU. */
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { Agent } from 'undici';
import type { Job, JobResult } from './load.ts';

for await (const line of createInterface({ input: process.stdin })) {
  const job = JSON.parse(line) as Job;
  process.stdout.write(`${JSON.stringify(await run(job))}\n`);
}

async function run(job: Job): Promise<JobResult> {
  const bodies = readFileSync(job.bodies, 'utf8').trimEnd().split('\n');
  const agent = new Agent({
    connections: job.connections,
    pipelining: 1,
    connect: { ca: readFileSync(job.caFile), servername: 'localhost' },
  });
  const times: number[] = [];
  let failed = 0;
  let problem: string | undefined;
  const send = async (index: number, planned: number) => {
    try {
      const { statusCode, body } = await agent.request({
        origin: `https://${job.address}`,
        path: `${job.path}?timeout=5s`,
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: bodies[index % bodies.length] ?? '',
      });
      await body.dump();
      if (statusCode !== 200) throw new Error(`status ${statusCode}`);
    } catch (error) {
      failed += 1;
      problem = String(error);
    }
    times.push(performance.now() - planned);
  };
  const started = performance.now();
  if (job.rate === undefined) await closedLoop(job, send);
  else await openLoop(job.requests, job.rate, send);
  const seconds = (performance.now() - started) / 1_000;
  await agent.close();
  times.sort((one, other) => one - other);
  const at = (share: number) => times[Math.min(times.length - 1, Math.floor(share * times.length))] ?? Number.NaN;
  return {
    requests: job.requests,
    failed,
    ...(problem !== undefined && { error: problem }),
    seconds,
    p50: at(0.5),
    p99: at(0.99),
    max: at(1),
  };
}

type Send = (index: number, planned: number) => Promise<void>;

async function closedLoop({ requests, connections }: Job, send: Send): Promise<void> {
  let next = 0;
  const connection = async () => {
    for (let index = next++; index < requests; index = next++) await send(index, performance.now());
  };
  await Promise.all(Array.from({ length: connections }, connection));
}

/** Arrivals are a Poisson process with a fixed seed. */
async function openLoop(requests: number, rate: number, send: Send): Promise<void> {
  let seed = 1;
  const random = () => {
    seed = (seed * 16_807) % 2_147_483_647;
    return seed / 2_147_483_647;
  };
  const sent: Promise<void>[] = [];
  let planned = performance.now();
  for (let index = 0; index < requests; index += 1) {
    planned += (-Math.log(random()) / rate) * 1_000;
    const wait = planned - performance.now();
    if (wait > 1) await pause(wait);
    sent.push(send(index, planned));
  }
  await Promise.all(sent);
}
