/** Parses a bundle in steps, between which requests are answered. */
import { setImmediate as yieldToRequests } from 'node:timers/promises';
import type { ParseResult } from '../rules/language/parse.ts';
import type { Problem } from '../rules/language/problem.ts';
import { type Bundle, type ReadBundle, type RuleStore, rejectUnreadable } from '../rules/store/rule-store.ts';
import type { DocumentParser } from './document-parser.ts';

/**
 * Parses a bundle, and yields to requests between two documents. Once `isLate` returns true the result is not needed any more, and the
 * remaining documents are skipped.
 */
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

/** Finds rules of a namespace that have no effect, and yields to requests between two rules. */
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
