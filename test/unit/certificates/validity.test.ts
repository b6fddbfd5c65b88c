/** Tests whether clients accept a certificate at the present time. */
import { expect, test } from 'vitest';
import { explainInvalidity } from '../../../src/certificates/validity.ts';
import { sampleServer } from './samples.ts';

const life = { notBefore: new Date('2026-05-01T00:00:00Z'), notAfter: new Date('2026-06-01T00:00:00Z') };
const { certificate } = sampleServer(life);
const expired = 'it expired at 2026-06-01T00:00:00.000Z';
const soon = 'it expires at 2026-06-01T00:00:00.000Z and has not been renewed';
const early = 'it is not valid before 2026-05-01T00:00:00.000Z';

test.each([
  { clocks: ['2026-04-30T23:59:59Z'], complaint: early },
  { clocks: ['2026-05-01T00:00:00Z'], complaint: undefined },
  { clocks: ['2026-05-31T23:54:59Z'], complaint: undefined },
  { clocks: ['2026-05-31T23:55:00Z'], complaint: soon },
  { clocks: ['2026-06-01T00:00:00Z'], complaint: expired },
  // A wrong clock does not matter if another one is right.
  { clocks: ['2026-05-10T00:00:00Z', '2031-01-01T00:00:00Z'], complaint: undefined },
  { clocks: ['2021-01-01T00:00:00Z', '2026-05-10T00:00:00Z'], complaint: undefined },
  { clocks: ['2026-05-31T23:56:00Z', '2026-06-01T00:00:01Z'], complaint: soon },
  { clocks: ['2026-06-01T00:00:00Z', '2026-06-02T00:00:00Z'], complaint: expired },
  { clocks: ['2026-04-01T00:00:00Z', '2026-04-02T00:00:00Z'], complaint: early },
])('by the clocks $clocks: $complaint', ({ clocks, complaint }) => {
  expect(explainInvalidity(certificate, clocks.map(Date.parse))).toBe(complaint);
});
