/** Runs the part of the hostile corpus that needs no clock: counts units of work, checks answers and the size of audit records. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { issueCa, issueServerCertificate } from '../../src/certificates/issue.ts';
import { createAuditLog } from '../../src/observe/logger.ts';
import { createWebhookServer } from '../../src/server/webhook-server.ts';
import { unwatched } from '../unit/decision/changes.ts';
import { ruleSetOf } from '../unit/rules/documents.ts';
import { isRecorded, problemOf, readCorpus } from './corpus.ts';

const entries = await readCorpus();
const validity = { notBefore: new Date('2026-01-01'), notAfter: new Date('2036-01-01') };
const ca = issueCa({ commonName: 'test', ...validity });
const tls = issueServerCertificate({ ca, commonName: 'localhost', dnsNames: ['localhost'], ipAddresses: [], ...validity });
const rules = ruleSetOf(readFileSync(join(import.meta.dirname, 'rules.yaml'), 'utf8'));

let lines: string[] = [];
const bugs: unknown[] = [];
const auditLog = createAuditLog({ write: (line: string) => void lines.push(line) });
const server = createWebhookServer(
  {
    rules: () => rules,
    facts: () => unwatched,
    audit: (record) => auditLog.write(record),
    reportBug: (error) => void bugs.push(error),
    failed: () => {},
  },
  { tls },
);
afterAll(() => server.close());

test('the corpus has entries with unique names', () => {
  expect(entries.length).toBeGreaterThan(5);
  expect(new Set(entries.map(({ name }) => name)).size).toBe(entries.length);
});

const counted = entries.filter(({ work, sends, cluster, flags, large }) => work || (sends && !cluster && !flags && !large));

describe.each(counted)('$name', ({ sends, work, cluster, flags, large, budget }) => {
  if (work)
    test('the work is within its budget', () => {
      expect(work()).toBeLessThanOrEqual(budget.work ?? 0);
    });

  // Entries that need a cluster or flags, or are large, only run in `npm run test:hostile`.
  if (sends && !cluster && !flags && !large)
    test('responses and records are as expected', async () => {
      lines = [];
      const problems: string[] = [];
      const sent = sends();
      for (const { path, body, answer } of sent) {
        const headers = { 'content-type': 'application/json' };
        const response = await server.inject({ method: 'POST', url: path, payload: body, headers });
        const problem = problemOf(answer, response.statusCode, response.body);
        if (problem !== undefined) problems.push(`${path}: ${problem}`);
      }
      expect(problems).toEqual([]);
      expect(bugs).toEqual([]);
      expect(lines.length).toBeGreaterThanOrEqual(sent.filter(isRecorded).length);
      expect(lines.reduce((sum, line) => sum + Buffer.byteLength(line), 0)).toBeLessThanOrEqual(budget.recordBytes);
    });
});
