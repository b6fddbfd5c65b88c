import { expect, test } from 'vitest';
import { describeRequiredRole } from '../../../src/kube/explain-api-error.ts';

test.each([
  ['/api/v1/pods', 'a ClusterRole: apiGroups [""], resources ["pods"], verbs ["get"]'],
  ['/apis/apps/v1/deployments', 'a ClusterRole: apiGroups ["apps"], resources ["deployments"], verbs ["get"]'],
  ['/api/v1/namespaces', 'a ClusterRole: apiGroups [""], resources ["namespaces"], verbs ["get"]'],
  ['/api/v1/namespaces/shop', 'a ClusterRole: apiGroups [""], resources ["namespaces"], resourceNames ["shop"], verbs ["get"]'],
  ['/api/v1/namespaces/shop/secrets', 'a Role in namespace shop: apiGroups [""], resources ["secrets"], verbs ["get"]'],
  [
    '/api/v1/namespaces/shop/configmaps/rules',
    'a Role in namespace shop: apiGroups [""], resources ["configmaps"], resourceNames ["rules"], verbs ["get"]',
  ],
  [
    '/apis/apps/v1/namespaces/shop/deployments/web',
    'a Role in namespace shop: apiGroups ["apps"], resources ["deployments"], resourceNames ["web"], verbs ["get"]',
  ],
])('the role for %s', (path, role) => {
  expect(describeRequiredRole({ path, verbs: ['get'] })).toBe(`Grant these permissions with ${role}`);
});
