/** Finds free ports for programs that need their port as an argument. */

import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

type Tuple<N extends number, Found extends number[] = []> = Found['length'] extends N ? Found : Tuple<N, [...Found, number]>;

/**
 * Ports of 127.0.0.1 that are free, all different. They are below those that Linux (from 32768) and macOS (from 49152) give to connections:
 * between this answer and the program's start, other tests may open hundreds.
 */
export async function freePorts<N extends number>(count: N): Promise<Tuple<N>> {
  const ports = new Set<number>();
  while (ports.size < count) {
    const port = randomInt(10_000, 32_768);
    if (await isFree(port)) ports.add(port);
  }
  return [...ports] as Tuple<N>;
}

function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
