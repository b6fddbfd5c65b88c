/** Scenarios that start their own control plane, or install and remove what an existing cluster already has. */
export const localOnly = [
  'caller-authentication',
  'cluster-types',
  'delivery-rights',
  'deploy-base',
  'docs',
  'installing',
  'leader',
  'operations',
  'outage',
  'report-rights',
  'rights',
  'rolling',
  'uninstall',
].map((name) => `test/cluster/scenarios/${name}.test.ts`);
