/** Reading a bundle in steps, between which requests are answered. */
import { setImmediate as yieldToRequests } from 'node:timers/promises';
import type { ParseResult } from '../rules/language/parse.ts';
import type { Problem } from '../rules/language/problem.ts';
import { type Bundle, type ReadBundle, type RuleStore, rejectUnreadable } from '../rules/store/rule-store.ts';
import type { DocumentParser } from './document-parser.ts';

/** Parses a bundle, and lets requests be answered between two of its documents. `isLate`: nobody waits any more, and the rest is left out. */
export async function readBundleInSteps(bundle: Bundle, parse: DocumentParser['parse'], isLate = () => false): Promise<ReadBundle> {
  const { scope = { kind: 'cluster' } } = bundle;
  const results: ParseResult[] = [];
  for (const document of bundle.documents) {
    await yieldToRequests();
    if (isLate()) break;
    results.push(rejectUnreadable(document) ?? (await parse({ ...document, scope })));
  }
  return { bundle, results };
}

/** Rules of a namespace that have no effect, and lets requests be answered between two of them. */
export async function findWideningInSteps(
  read: ReadBundle,
  store: Pick<RuleStore, 'widening'>,
  isLate = () => false,
): Promise<readonly Problem[]> {
  const found: Problem[] = [];
  for (const problems of store.widening(read)) {
    found.push(...problems);
    await yieldToRequests();
    if (isLate()) break;
  }
  return found;
}
