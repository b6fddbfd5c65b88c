/** Remembers what was found for the images of one object, which are looked up one after another in the same context. */
import type { NamespaceContext } from '../rule-set.ts';

/** Returns what `create` returned for the context, if that was the last one. Contexts are compared as objects. */
export function rememberLast<Value>(create: (context: NamespaceContext) => Value): (context: NamespaceContext) => Value {
  let last: { readonly context: NamespaceContext; readonly value: Value } | undefined;
  return (context) => {
    if (last?.context !== context) last = { context, value: create(context) };
    return last.value;
  };
}
