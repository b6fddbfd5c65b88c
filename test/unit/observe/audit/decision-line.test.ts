/** Tests the line for a decision that the development server prints on a terminal. */
import { describe, expect, test } from 'vitest';
import { renderDecisionLine } from '../../../../src/observe/audit/decision-line.ts';
import { buildAuditRecord } from '../../../../src/observe/audit/decision-record.ts';
import { createAuditLog } from '../../../../src/observe/logger.ts';
import { type AnsweredOptions, answered } from '../../cluster/events/events.ts';
import { ruleSetOf } from '../../rules/documents.ts';

const time = '2026-11-30T10:00:00.000Z';
const recordOf = (options: AnsweredOptions) => buildAuditRecord({ ...answered({ owner: undefined, ...options }), durationMicroseconds: 1 });
const lineOf = (options: AnsweredOptions) => renderDecisionLine(recordOf(options), time);
const trusting = 'rules: [{name: own, registry: good.example.com, pullSecret: corp-pull}, {registry: evil.example.com, trust: false}]';

describe('the line for a decision', () => {
  test('has the message of a denial', () => {
    expect(lineOf({})).toBe(
      `${time} denied  validate CREATE Pod shop/web-6d4c-…: container "c0": image "evil.example.com/x:1" is from an untrusted registry (rule "evil.example.com", a.yaml:5:14): it was hacked.\n`,
    );
  });

  test('counts further messages', () => {
    expect(lineOf({ images: ['evil.example.com/x', 'evil.example.com/y', 'evil.example.com/z'] })).toMatch(
      /: it was hacked\. And 2 more messages\.\n$/,
    );
  });

  test('has the images of an allowed object', () => {
    const images = ['a', 'b', 'c', 'd'].map((name) => `good.example.com/${name}`);
    expect(lineOf({ images })).toBe(
      `${time} allowed validate CREATE Pod shop/web-6d4c-…: good.example.com/a trusted, good.example.com/b trusted, good.example.com/c trusted, 1 more image\n`,
    );
  });

  test('has the secrets that were added', () => {
    expect(lineOf({ webhook: 'mutate', images: ['good.example.com/a'], rules: ruleSetOf(trusting) })).toBe(
      `${time} allowed mutate CREATE Pod shop/web-6d4c-…: + corp-pull (spec.imagePullSecrets)\n`,
    );
  });

  test('shows what mode audit allows', () => {
    const rules = ruleSetOf(`mode: audit\n${trusting}`);
    expect(lineOf({ rules, request: { dryRun: true } })).toContain(
      ' allowed (denied in enforce mode) validate CREATE Pod shop/web-6d4c-… (dry run): ',
    );
  });

  test('is one line, whatever names contain', () => {
    expect(lineOf({ containers: [{ name: 'a\nb\u001b[2J', image: 'evil.example.com/x' }] })).toMatch(/^[^\p{Cc}]+\n$/u);
  });
});

test('the audit log only has lines for people on request, and none for rules, which the log reports', () => {
  const lines: string[] = [];
  const destination = { write: (line: string) => void lines.push(line) };
  createAuditLog(destination, 'text').write(recordOf({}));
  createAuditLog(destination, 'text').write({ event: 'rules' });
  createAuditLog(destination).write(recordOf({}));
  expect(lines).toEqual([expect.stringMatching(/^\S+Z denied {2}validate CREATE Pod shop/), expect.stringMatching(/^\{"log":"audit",/)]);
});
