/** Namespaces that the API server must not send: regkeeper's own, so that it can always start, and those that nodes need to start. */
export function allExcludedNamespaces(namespace: string, excluded: readonly string[]): string[] {
  return [...new Set([namespace, 'kube-system', 'kube-node-lease', ...excluded])];
}
