/** The way of rules into the book: whatever brings them, they are parsed beside the requests and taken over in the order in which they came. */
import { setImmediate as otherWork } from 'node:timers/promises';
import { type Bundle, type ReadBundle, type RuleBook, type RulesChange, refuseUnreadable } from '../rules/book.ts';
import type { Problem } from '../rules/problem.ts';
import type { DocumentParser } from './parser.ts';

/** As the book's own, but later: each resolves when it is done and told, in the order of the calls over all three. */
export type RuleIntake = {
  open(bundles: readonly Bundle[], lastGood?: readonly Bundle[]): Promise<void>;
  offer(bundle: Bundle): Promise<void>;
  withdraw(id: string): Promise<void>;
};

export type IntakeOptions = {
  readonly book: RuleBook;
  readonly parser: DocumentParser;
  readonly onChange: (changes: readonly RulesChange[]) => void;
};

export function createRuleIntake({ book, parser, onChange }: IntakeOptions): RuleIntake {
  let last: Promise<void> = Promise.resolve();

  function inTurn(work: () => Promise<readonly RulesChange[]>): Promise<void> {
    const turn = last.then(work).then(onChange);
    // A failure is the caller's to tell; who comes next goes on.
    last = turn.catch(() => undefined);
    return turn;
  }

  async function readAll(bundles: readonly Bundle[]): Promise<ReadBundle[]> {
    const read: ReadBundle[] = [];
    for (const bundle of bundles) read.push(await readInTurns(bundle, parser));
    return read;
  }

  return {
    open: (bundles, lastGood = []) => inTurn(async () => book.open(await readAll(bundles), await readAll(lastGood))),
    offer: (bundle) =>
      inTurn(async () => {
        const read = await readInTurns(bundle, parser);
        const changes = book.offer(read);
        const idle = changes.some(({ id, problems }) => id === bundle.id && problems.length === 0) ? await wideningInTurns(read, book) : [];
        return changes.map((change) => (change.id === bundle.id ? { ...change, warnings: [...change.warnings, ...idle] } : change));
      }),
    withdraw: (id) => inTurn(async () => book.withdraw(id)),
  };
}

/** Parses a bundle, and lets requests be answered between two of its documents. */
export async function readInTurns(bundle: Bundle, parser: DocumentParser): Promise<ReadBundle> {
  const { scope = { kind: 'cluster' } } = bundle;
  const results = [];
  for (const document of bundle.documents) {
    await otherWork();
    results.push(refuseUnreadable(document) ?? (await parser.parse({ ...document, scope })));
  }
  return { bundle, results };
}

/** Rules of a namespace that have no effect, and lets requests be answered between two of them. */
export async function wideningInTurns(read: ReadBundle, book: Pick<RuleBook, 'widening'>): Promise<readonly Problem[]> {
  const found: Problem[] = [];
  for (const problems of book.widening(read)) {
    found.push(...problems);
    await otherWork();
  }
  return found;
}
