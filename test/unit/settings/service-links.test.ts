/** Service links of Kubernetes are not mistaken for settings. */
import { describe, expect, test } from 'vitest';
import { readSettings } from '../../../src/app/settings.ts';
import { isServiceLink } from '../../../src/settings/service-links.ts';
import { settingNames, variableOf } from '../../../src/settings/table.ts';

/** The variables that the kubelet sets for a Service: kubernetes pkg/kubelet/envvars/envvars.go. */
function linksOf(service: string, ip: string, ports: readonly { port: number; name?: string; protocol?: 'TCP' | 'UDP' | 'SCTP' }[]) {
  const prefix = service.toUpperCase().replaceAll('-', '_');
  const variables: Record<string, string> = { [`${prefix}_SERVICE_HOST`]: ip, [`${prefix}_SERVICE_PORT`]: String(ports[0]?.port) };
  for (const [index, { port, name, protocol = 'TCP' }] of ports.entries()) {
    const scheme = protocol.toLowerCase();
    const url = `${scheme}://${ip.includes(':') ? `[${ip}]` : ip}:${port}`;
    if (name !== undefined) variables[`${prefix}_SERVICE_PORT_${name.toUpperCase().replaceAll('-', '_')}`] = String(port);
    if (index === 0) variables[`${prefix}_PORT`] = url;
    const each = `${prefix}_PORT_${port}_${protocol}`;
    Object.assign(variables, { [each]: url, [`${each}_PROTO`]: scheme, [`${each}_PORT`]: String(port), [`${each}_ADDR`]: ip });
  }
  return variables;
}

const services = [
  ['regkeeper', '10.0.0.1', [{ port: 443, name: 'webhook' }]],
  ['regkeeper', 'fd00::1', [{ port: 443 }, { port: 8443, name: 'next-one' }]],
  ['regkeeper-health', '10.0.0.2', [{ port: 8080, name: 'http' }]],
  ['regkeeper-service', '10.0.0.3', [{ port: 53, name: 'dns', protocol: 'UDP' }]],
  ['regkeeper-log-level', '10.0.0.4', [{ port: 9, protocol: 'SCTP' }]],
  ...settingNames.map((name) => [variableOf(name).toLowerCase().replaceAll('_', '-'), '10.0.0.5', [{ port: 443, name: 'port' }]] as const),
] as const;

describe('variables that Kubernetes creates for a Service', () => {
  test.each(services)('named %s at %s are neither settings nor mistakes', (name, ip, ports) => {
    const links = linksOf(name, ip, ports);
    expect(Object.entries(links).filter(([variable, value]) => !isServiceLink(variable, value))).toEqual([]);
    const env = { KUBERNETES_SERVICE_HOST: '10.0.0.1' };
    expect({ ...readSettings({}, { ...env, ...links }), nameOf: undefined }).toEqual({ ...readSettings({}, env), nameOf: undefined });
  });

  test.each([
    ['REGKEEPER_PORT', '9443'],
    ['REGKEEPER_SERVICE', 'keeper'],
    ['REGKEEPER_HOST', '10.0.0.1'],
    ['REGKEEPER_SERVICE_HOST', 'keeper.example.com'],
    ['REGKEEPER_HEALTH_PRT', 'tcp://10.0.0.1:443'],
  ])('%s=%s is not one of them', (variable, value) => {
    expect(isServiceLink(variable, value)).toBe(false);
  });
});
