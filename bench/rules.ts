/** `npm run bench`: time of a rule lookup by number of rules, time to compile them, and their memory. Prints results and asserts nothing. */
import { createHash } from 'node:crypto';
import { compileRuleSet } from '../src/rules/compile/compile.ts';
import { type ParsedDocument, parseRulesDocument } from '../src/rules/language/parse.ts';
import type { RuleSet } from '../src/rules/rule-set.ts';
import { type Lookup, lookupsFor, rulesText } from './samples.ts';

const sizes = [10, 100, 1_000, 10_000];
const smallest = 10;
const largest = 10_000;

const targets = { ratio: 1.2, milliseconds: 300, mebibytes: 60 };

/** Rounds last a few milliseconds, so that other work on the machine disturbs only some of them. */
const lookupsPerRound = 10_000;
const rounds = 150;
const warmUpRounds = 30;

const collect = globalThis.gc;
if (!collect) {
  console.error('memory cannot be measured without --expose-gc; use "npm run bench"');
  process.exit(2);
}

const ruleSets = sizes.map((size) => compile(parse(rulesText(size))));

const ratio = reportLookups(
  'the same thousand images at every size, of registries that all sizes have rules for',
  sizes.map(() => lookupsFor(smallest)),
);
reportAgainstTarget('largest ratio', ratio, targets.ratio, '×', 2);

reportLookups(
  'a thousand images spread over all rules; most of what many rules take has left the caches of the processor',
  sizes.map((size) => lookupsFor(size)),
);

reportCompiling();

/** The largest ratio between a size and the smallest. */
function reportLookups(what: string, lookups: readonly (readonly Lookup[])[]): number {
  const times = sizes.map((): number[] => []);
  const forth = [...sizes.keys()];
  // The sizes take turns, in alternating order, so that other work on the machine affects all of them alike.
  for (let round = -warmUpRounds; round < rounds; round++) {
    for (const turn of round % 2 === 0 ? forth : forth.toReversed()) {
      const took = time(() => lookUpAll(ruleSets[turn], lookups[turn] ?? []));
      if (round >= 0) times[turn]?.push(took);
    }
  }
  console.log(`Lookups: ${what}\n  rules   lookups/s   time against ${smallest} rules, median of ${rounds} rounds`);
  const ratios = times.map((ofSize) => median(ofSize.map((took, round) => took / (times[0]?.[round] ?? Number.NaN))));
  for (const [turn, size] of sizes.entries()) {
    const perSecond = Math.round((lookupsPerRound / median(times[turn] ?? [])) * 1000);
    console.log(`${pad(size, 7)}${pad(perSecond, 12)}   ${ratios[turn]?.toFixed(2)}×`);
  }
  return Math.max(...ratios);
}

function lookUpAll(ruleSet: RuleSet | undefined, lookups: readonly Lookup[]): number {
  let found = 0;
  for (let done = 0; done < lookupsPerRound; done += lookups.length) {
    for (const { reference, context } of lookups) if (ruleSet?.match(reference, context).value) found++;
  }
  return found;
}

function reportCompiling(): void {
  const text = rulesText(largest);
  const document = parse(text);
  const times = Array.from({ length: 15 }, () => time(() => compile(document)));
  console.log(`\n${largest.toLocaleString('en')} rules in ${Math.round(text.length / 1024)} KiB of YAML`);
  console.log(`parsing: ${time(() => parse(text)).toFixed(0)} ms, for comparison`);
  reportAgainstTarget('compiling, median of 15', median(times), targets.milliseconds, ' ms', 0);
  reportAgainstTarget('heap that a rule set holds, after collection', retainedHeap(), targets.mebibytes, ' MiB', 1);
}

/** In MiB: the heap with the rule set, including the rules and the text they retain, minus the heap without it. */
function retainedHeap(): number {
  const before = heapInUse();
  const ruleSet = compile(parse(rulesText(largest)));
  const retained = heapInUse() - before;
  // This use keeps the rule set reachable until the heap has been measured.
  return ruleSet.rules.length > 0 ? retained / 1024 / 1024 : 0;
}

function heapInUse(): number {
  collect?.();
  collect?.();
  return process.memoryUsage().heapUsed;
}

function parse(text: string): ParsedDocument {
  const result = parseRulesDocument(text, { kind: 'file', file: 'bench.yaml' });
  if (!result.ok) throw new Error(result.problems[0]?.message);
  return result.document;
}

function compile(document: ParsedDocument): RuleSet {
  const result = compileRuleSet([document], (text) => createHash('sha256').update(text).digest('hex'));
  if (!result.ok) throw new Error(result.problems[0]?.message);
  return result.ruleSet;
}

/** Milliseconds. */
function time(work: () => unknown): number {
  const start = performance.now();
  work();
  return performance.now() - start;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

function reportAgainstTarget(what: string, value: number, target: number, unit: string, digits: number): void {
  console.log(`${what}: ${value.toFixed(digits)}${unit}; target ${target}${unit}, ${value <= target ? 'met' : 'MISSED'}`);
}

function pad(value: number, width: number): string {
  return value.toLocaleString('en').padStart(width);
}
