/** Entries by bundle id, kept separately for each scope: what one namespace stores costs nothing when another one changes. */
import type { RuleScope } from '../language/parse.ts';

export type ByScope<Entry> = {
  get(id: string): Entry | undefined;
  /** Appends the entry to its scope, or moves an existing id to the end. An id always has the same scope. */
  put(id: string, scope: RuleScope, entry: Entry): void;
  delete(id: string): void;
  /** The entries of one scope by id, in the order of `put`. */
  of(scope: RuleScope): ReadonlyMap<string, Entry>;
  all(): readonly Entry[];
};

export function createByScope<Entry>(): ByScope<Entry> {
  const scopes = new Map<string, Map<string, Entry>>();
  const scopeOfId = new Map<string, string>();

  function remove(id: string): void {
    const key = scopeOfId.get(id);
    if (key === undefined) return;
    scopeOfId.delete(id);
    const entries = scopes.get(key);
    entries?.delete(id);
    if (entries?.size === 0) scopes.delete(key);
  }

  return {
    get: (id) => scopes.get(scopeOfId.get(id) ?? '')?.get(id),
    put(id, scope, entry) {
      remove(id);
      const key = keyOf(scope);
      const entries = scopes.get(key) ?? new Map<string, Entry>();
      scopes.set(key, entries.set(id, entry));
      scopeOfId.set(id, key);
    },
    delete: remove,
    of: (scope) => scopes.get(keyOf(scope)) ?? new Map<string, Entry>(),
    all: () => [...scopes.values()].flatMap((entries) => [...entries.values()]),
  };
}

/** No namespace has an empty name. */
function keyOf(scope: RuleScope): string {
  return scope.kind === 'namespace' ? `namespace ${scope.namespace}` : '';
}
