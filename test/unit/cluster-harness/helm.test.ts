/** Where the test cluster finds Helm. */
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { findHelm, helmVersion } from '../../cluster/helm.ts';

let folder: string;
let said: string[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'regkeeper-helm-'));
  said = [];
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('findHelm', () => {
  test.each<{ name: string; has: readonly HelmSource[]; helmOnPath?: string; found: string }>([
    { name: 'uses the file in HELM, although all other locations have it too', has: ['HELM', 'path', 'cache', 'go'], found: 'HELM' },
    { name: 'uses the one in PATH', has: ['path', 'cache', 'go'], found: 'path' },
    { name: 'skips a Helm 3 in PATH', has: ['path', 'cache', 'go'], helmOnPath: 'v3.19.0', found: 'cache' },
    { name: 'prefers the cache to a build', has: ['cache', 'go'], found: 'cache' },
    { name: 'builds what is not found, into the cache', has: ['go'], found: 'built' },
  ])('$name', async ({ has, helmOnPath = 'v4.3.1', found }) => {
    const helm = await findHelm({ env: environment(has, helmOnPath), say: (line) => said.push(line) });
    expect(readFileSync(helm, 'utf8')).toContain(`# ${found}\n`);
    expect(said.some((line) => line.includes('not used'))).toBe(helmOnPath.startsWith('v3'));
    expect(said.some((line) => line.startsWith(`Building helm ${helmVersion()} from source`))).toBe(found === 'built');
  });

  test('lists the searched locations and the fixes when it is not found', async () => {
    await expect(findHelm({ env: environment([]), say: () => {} })).rejects.toThrow(
      /helm was not found.\nLooked at: HELM \(not set\); PATH; .*cache\/regkeeper\/helm\/v4.*; a build with Go.*\nWhat helps: install Helm 4; or set HELM/,
    );
  });

  test('reports an invalid HELM instead of using another file', async () => {
    const env = { ...environment(['path', 'cache', 'go']), HELM: join(folder, 'absent') };
    await expect(findHelm({ env, say: () => {} })).rejects.toThrow(/HELM is .*absent, which is no executable file/);
  });
});

type HelmSource = 'HELM' | 'path' | 'cache' | 'go';

function environment(has: readonly HelmSource[], helmOnPath = 'v4.3.1') {
  const [named, onPath] = [join(folder, 'given', 'helm'), join(folder, 'path', 'helm')];
  const cached = join(folder, 'cache', 'regkeeper', 'helm', helmVersion(), 'helm');
  if (has.includes('HELM')) writeExecutable(named, '#!/bin/sh\n# HELM\n');
  if (has.includes('path')) writeExecutable(onPath, `#!/bin/sh\n# path\necho ${helmOnPath}\n`);
  if (has.includes('cache')) writeExecutable(cached, '#!/bin/sh\n# cache\n');
  if (has.includes('go')) writeExecutable(join(folder, 'path', 'go'), fakeGo);
  return { PATH: join(folder, 'path'), XDG_CACHE_HOME: join(folder, 'cache'), HELM: has.includes('HELM') ? named : undefined };
}

const fakeGo = String.raw`#!/bin/sh
while [ "$1" != -o ]; do shift; done
printf '#!/bin/sh\n# built\n' > "$2"
/bin/chmod +x "$2"`;

function writeExecutable(path: string, text: string): void {
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, text);
  chmodSync(path, 0o755);
}
