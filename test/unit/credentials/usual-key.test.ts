import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isFound, isFoundUnderUsualKey, type Lookup } from '../../../src/credentials/usual-key.ts';
import { parseImage } from '../../../src/image/reference.ts';

const lookups: readonly Lookup[] = [{ by: 'kubelet' }, { by: 'builder', action: 'pull' }, { by: 'builder', action: 'push' }];

const hosts = fc.oneof(
  fc.constantFrom('docker.io', 'index.docker.io', 'registry-1.docker.io', 'registry.hub.docker.com', 'localhost', 'LOCALHOST', 'Quay.io'),
  fc.constantFrom(
    'quay.io',
    'q',
    'registry.example.com',
    'xn--bcher-kva.example',
    '10.0.0.1',
    '[::1]',
    '[2001:DB8::1]',
    '[::0001]',
    'a-b.c',
  ),
  fc.stringMatching(/^[a-zA-Z0-9]([a-zA-Z0-9.-]{0,8}[a-zA-Z0-9])?$/),
);
const ports = fc.constantFrom('', ':443', ':0443', ':5000', ':05000', ':80', ':65535', ':0');
const paths = fc.constantFrom('app', 'v1/app', 'v2/app', 'library/nginx', 'a/b/c', 'team/app.v2', '5000/app');
const versions = fc.constantFrom('', ':v1', ':443', `@sha256:${'0'.repeat(64)}`);
const images = fc.tuple(hosts, ports, paths, versions).map(([host, port, path, version]) => `${host}${port}/${path}${version}`);

describe('isFoundUnderUsualKey', () => {
  test.for(lookups)('the shortcut for names that begin with the key agrees with the lookup: %o', (lookup) => {
    fc.assert(
      fc.property(images, (text) => {
        const parsed = parseImage(text);
        if (!parsed.ok) return;
        expect(isFoundUnderUsualKey(parsed.reference, lookup)).toBe(isFound(parsed.reference, lookup));
      }),
      { numRuns: 2_000 },
    );
  });

  test.for([
    ['registry.example.com/app', true],
    ['registry.example.com:5000/app', true],
    ['registry.example.com:443/app', false],
    ['registry.example.com:05000/app', false],
    ['Registry.example.com/app', false],
    ['nginx', true],
    ['registry-1.docker.io/library/nginx', false],
  ] as const)('%s: %s', ([text, expected]) => {
    const parsed = parseImage(text);
    expect(parsed.ok && isFoundUnderUsualKey(parsed.reference, { by: 'kubelet' })).toBe(expected);
  });
});
