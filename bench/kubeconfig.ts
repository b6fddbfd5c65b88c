/** Kubeconfigs for scripted API servers. */

/** As JSON. `cluster` has the address and how to trust it. */
export function kubeconfigFor(cluster: { readonly server: string } & Readonly<Record<string, unknown>>): string {
  return JSON.stringify({
    clusters: [{ name: 'scripted', cluster }],
    users: [{ name: 'bench', user: { token: 'unused' } }],
    contexts: [{ name: 'scripted', context: { cluster: 'scripted', user: 'bench' } }],
    'current-context': 'scripted',
  });
}

/** The same for a server whose certificate this CA has issued. */
export function kubeconfigWithCa(server: string, ca: string): string {
  return kubeconfigFor({ server, 'certificate-authority-data': Buffer.from(ca).toString('base64') });
}
