/** Namespaces that the API server must not ask about: our own, so that we can always start, and those that nodes need to come up. */
export function allExcludedNamespaces(namespace: string, excluded: readonly string[]): string[] {
  return [...new Set([namespace, 'kube-system', 'kube-node-lease', ...excluded])];
}
