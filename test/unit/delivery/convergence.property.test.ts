/**
 * After any sequence of events and crashes, the copies are those that entitlement and need require, and no Secret without the label was written.
 * With a usable source, no copy contains an entry that the rules in effect do not entitle.
 * The cluster is a model: writes have preconditions as on a real API server, and the controller acts on what it last saw.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { ExistingSecret } from '../../../src/delivery/existing-secret.ts';
import {
  type ContentState,
  type CopyAction,
  entitlementGrace,
  isObsolete,
  planCopy,
  unusedGrace,
} from '../../../src/delivery/plan-copy.ts';
import { ruleIds, ruleIdsText } from '../../../src/delivery/rule-ids.ts';
import { parsePattern, resolvePattern } from '../../../src/rules/language/pattern.ts';
import { propertyTimeout, runs } from '../../property.ts';

const retainSeconds = 3_600;
/** The registry of a rule, and of the entry of the source that it entitles a namespace to. */
type Registry = 'a.io' | 'b.io';
const registries: readonly Registry[] = ['a.io', 'b.io'];
/** An entry that is `large` is more than a Secret can contain. */
type Source = { readonly version: string; readonly entries: Readonly<Partial<Record<Registry, 'small' | 'large'>>> };
type Stored = ExistingSecret & { readonly owner: 'delivery' | 'tenant'; readonly entries: readonly Registry[] };
type Namespace = { phase: 'active' | 'absent'; entitled: boolean; needed: boolean; stored: Stored | undefined };
type Seen = Readonly<Namespace>;

class Cluster {
  now = Date.UTC(2027, 0, 1);
  source: Source | undefined = complete('v1');
  rules = registries;
  readonly namespaces = ['a', 'b'].map((): Namespace => ({ phase: 'active', entitled: true, needed: false, stored: undefined }));
  #version = 0;

  next(): { uid: string; resourceVersion: string } {
    this.#version += 1;
    return { uid: `u${this.#version}`, resourceVersion: String(this.#version) };
  }

  put(index: number, secret: Omit<Stored, 'uid' | 'resourceVersion'>, uid?: string): void {
    const { uid: created, resourceVersion } = this.next();
    this.namespaces[index] = { ...this.at(index), stored: { ...secret, uid: uid ?? created, resourceVersion } };
  }

  at(index: number): Namespace {
    return this.namespaces[index] as Namespace;
  }

  /** The entries that the rules in effect select. */
  selected(): readonly Registry[] {
    return this.rules.filter((registry) => this.source?.entries[registry]);
  }

  content(): ContentState {
    const selected = this.selected();
    if (!this.source) return { state: 'unavailable', code: 'source-missing' };
    const rules = ruleIds(this.rules.map(ruleFor), (text) => text);
    if (selected.length === 0) return { state: 'unavailable', code: 'source-without-entry', rules };
    if (selected.every((registry) => this.source?.entries[registry] === 'small')) {
      return { state: 'ready', version: `${this.source.version} ${selected.join(' ')}` };
    }
    return { state: 'unavailable', code: 'copy-too-large', rules };
  }

  change(entries: Source['entries']): void {
    this.source = { version: `v${this.next().resourceVersion}`, entries: { ...this.source?.entries, ...entries } };
  }
}

function complete(version: string): Source {
  return { version, entries: { 'a.io': 'small', 'b.io': 'small' } };
}

function ruleFor(registry: Registry) {
  const parsed = parsePattern(registry);
  if (!parsed.ok) throw new Error(parsed.message);
  return { name: registry, pattern: resolvePattern(parsed.pattern, true), pull: true, push: false };
}

const fresh = { terminating: false, immutable: false, unusedSince: undefined } as const;

/** What the API server and the fence do with a write. */
function execute(cluster: Cluster, index: number, action: CopyAction): void {
  const { stored, phase } = cluster.at(index);
  if (action.do === 'leave' || phase === 'absent') return;
  const matches = action.do === 'create' || (stored?.uid === action.of.uid && stored.resourceVersion === action.of.resourceVersion);
  if (!matches || (stored && !stored.delivered)) return;
  if (stored?.immutable && action.do === 'update') return;
  const written = {
    ...fresh,
    owner: 'delivery',
    delivered: true,
    takenOver: action.do !== 'replace' && stored?.takenOver === true,
    writtenByDelivery: true,
    intact: true,
    sourceVersion: versionOf(cluster.content()),
    rules: ruleIdsText(cluster.rules.map(ruleFor), (text) => text),
    entries: cluster.selected(),
  } as const;
  if (action.do === 'create' || action.do === 'update') cluster.put(index, { ...written, unusedSince: stored?.unusedSince }, stored?.uid);
  else if (action.do === 'replace') cluster.put(index, written);
  else if (action.do === 'delete') cluster.at(index).stored = undefined;
  else if (stored) cluster.put(index, { ...stored, unusedSince: action.do === 'mark-unused' ? action.since : undefined }, stored.uid);
}

function versionOf(content: ContentState): string | undefined {
  return content.state === 'ready' ? content.version : undefined;
}

/** What the process knows, and loses in a crash. */
class Controller {
  seen: Seen[] = [];
  readonly #since = new Map<string, number>();
  readonly #cluster: Cluster;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
    this.see(0);
    this.see(1);
  }

  see(index: number): void {
    this.seen[index] = { ...this.#cluster.at(index) };
  }

  act(index: number): CopyAction {
    const { now } = this.#cluster;
    const content = this.#cluster.content();
    const { phase, entitled, needed, stored } = this.seen[index] as Seen;
    const { action } = planCopy({
      secret: { deliver: 'onDemand', retainSeconds },
      namespace: phase,
      excluded: false,
      entitled,
      notEntitledFor: this.#timeSince(`${index} not entitled`, !entitled || (stored !== undefined && isObsolete(content, stored))),
      needed,
      notNeededFor: this.#timeSince(`${index} not needed`, !needed),
      content,
      existing: stored,
      now,
    });
    if (stored && !stored.delivered) expect(action.do).toBe('leave');
    execute(this.#cluster, index, action);
    return action;
  }

  #timeSince(what: string, isSo: boolean): number {
    const { now } = this.#cluster;
    const since = this.#since.get(what) ?? now;
    if (isSo) this.#since.set(what, since);
    else this.#since.delete(what);
    return isSo ? now - since : 0;
  }
}

type Event = (cluster: Cluster, index: number) => void;

const set = (cluster: Cluster, index: number, change: Partial<Namespace>) => void Object.assign(cluster.at(index), change);

const tenantWrites =
  (change: Partial<Stored>): Event =>
  (cluster, index) => {
    const { stored } = cluster.at(index);
    if (stored) cluster.put(index, { ...stored, ...change }, stored.uid);
  };

const events: Readonly<Record<string, Event>> = {
  entitle: (cluster, index) => set(cluster, index, { entitled: true }),
  narrow: (cluster, index) => set(cluster, index, { entitled: false }),
  need: (cluster, index) => set(cluster, index, { needed: true }),
  'need no more': (cluster, index) => set(cluster, index, { needed: false }),
  rotate: (cluster) => {
    cluster.change({});
  },
  'complete the source': (cluster) => cluster.change({ 'a.io': 'small', 'b.io': 'small' }),
  'enlarge an entry': (cluster, index) => cluster.change({ [registries[index] as Registry]: 'large' }),
  'remove an entry': (cluster, index) => cluster.change({ [registries[index] as Registry]: undefined }),
  'keep one rule': (cluster, index) => {
    cluster.rules = [registries[index] as Registry];
  },
  'restore the rules': (cluster) => {
    cluster.rules = registries;
  },
  'lose the source': (cluster) => {
    cluster.source = undefined;
  },
  'create a foreign Secret': (cluster, index) => {
    if (cluster.at(index).stored || cluster.at(index).phase === 'absent') return;
    const written = { owner: 'tenant', delivered: false, takenOver: false, writtenByDelivery: false, intact: false } as const;
    cluster.put(index, { ...fresh, ...written, sourceVersion: undefined, rules: undefined, entries: [] });
  },
  'delete the Secret': (cluster, index) => set(cluster, index, { stored: undefined }),
  edit: tenantWrites({ intact: false }),
  'make immutable': tenantWrites({ immutable: true }),
  'remove the rules': tenantWrites({ rules: undefined }),
  'strip the label': tenantWrites({ delivered: false, takenOver: false }),
  'set the label': tenantWrites({ delivered: true, takenOver: true }),
  'mark as unused for ever': tenantWrites({ unusedSince: Date.UTC(2999, 0, 1) }),
  'mark as long unused': tenantWrites({ unusedSince: 0 }),
  'delete the namespace': (cluster, index) => set(cluster, index, { phase: 'absent', stored: undefined, needed: false }),
  'create the namespace': (cluster, index) => set(cluster, index, { phase: 'active' }),
  'wait a minute': (cluster) => {
    cluster.now += 60_000;
  },
  'wait an hour': (cluster) => {
    cluster.now += 3_600_000;
  },
};

/** A controller that mostly acts on the current state, and sometimes on an earlier one. */
const step = fc.tuple(
  fc.oneof(
    { weight: 6, arbitrary: fc.constant('reconcile') },
    { weight: 2, arbitrary: fc.constantFrom('see', 'act', 'crash') },
    { weight: 3, arbitrary: fc.constantFrom('need', 'entitle') },
    { weight: 9, arbitrary: fc.constantFrom(...Object.keys(events)) },
  ),
  fc.nat(1),
);

test(
  'copies converge to entitlement and need',
  () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80, size: 'max' }), (steps) => {
        const cluster = new Cluster();
        let controller = new Controller(cluster);
        for (const [what, index] of steps) {
          if (what === 'see' || what === 'reconcile') controller.see(index);
          if (what === 'act' || what === 'reconcile') controller.act(index);
          else if (what === 'crash') controller = new Controller(cluster);
          else events[what]?.(cluster, index);
        }
        cluster.source ??= complete('v-last');
        for (const pause of [0, entitlementGrace, unusedGrace, retainSeconds * 1_000, retainSeconds * 1_000]) {
          cluster.now += pause;
          settle(controller);
        }
        for (const namespace of cluster.namespaces) expect(expected(namespace, cluster)).toContain(shown(namespace, cluster));
      }),
      runs(5_000),
    );
  },
  propertyTimeout,
);

/** Acts until there is nothing more to do. No plan may undo another one forever. */
function settle(controller: Controller): void {
  for (const index of [0, 1]) {
    let last: CopyAction;
    let actions = 0;
    do {
      controller.see(index);
      last = controller.act(index);
      actions += 1;
      expect(actions).toBeLessThan(6);
    } while (last.do !== 'leave');
  }
}

function shown({ stored }: Namespace, cluster: Cluster): string {
  if (!stored) return 'none';
  if (!stored.delivered) return 'foreign';
  if (!stored.entries.every((registry) => cluster.rules.includes(registry))) return 'copy with entries that are not entitled';
  const content = cluster.content();
  if (content.state !== 'ready') return 'older copy';
  return stored.intact && stored.sourceVersion === content.version && stored.unusedSince === undefined ? 'copy' : 'wrong copy';
}

function expected({ phase, entitled, needed, stored }: Namespace, cluster: Cluster): readonly string[] {
  if (phase === 'absent') return ['none'];
  if (stored && !stored.delivered) return ['foreign'];
  if (!entitled || !(needed || stored?.takenOver)) return ['none'];
  const content = cluster.content();
  if (content.state === 'ready') return ['copy'];
  return 'rules' in content ? ['older copy', 'none'] : ['none'];
}
