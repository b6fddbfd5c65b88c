/** Tests the parts of test/node that need no node. */
import { expect, test } from 'vitest';
import { layoutArchive, makeImage, makeLayer } from '../../node/images.ts';
import { differences, lookAtMachine } from '../../node/machine.ts';
import { readRecipe } from '../../node/own-image.ts';
import { hostsToml } from '../../node/registries.ts';

test("the image on the node has the Dockerfile's entry point, user and paths", async () => {
  expect(await readRecipe()).toEqual({
    node: '/nodejs/bin/node',
    program: '/app/regkeeper.mjs',
    config: {
      Entrypoint: ['/nodejs/bin/node', '/app/regkeeper.mjs'],
      Cmd: ['serve'],
      Env: ['NODE_ENV=production', 'NODE_OPTIONS=--max-semi-space-size=8', 'MALLOC_ARENA_MAX=2', 'MALLOC_TRIM_THRESHOLD_=131072'],
      User: '65532:65532',
      WorkingDir: '/app',
      ExposedPorts: { '8443/tcp': {}, '8080/tcp': {} },
    },
  });
});

test('an unchanged machine has no differences', () => {
  const machine = lookAtMachine();
  expect(differences(machine, machine)).toEqual([]);
});

test('what appeared and what disappeared is reported', () => {
  const before = { mount: ['/', '/a'], interface: ['lo'] };
  const after = { mount: ['/', '/b'], interface: ['lo', 'rknode0'] };
  expect(differences(before, after)).toEqual(['left behind: mount /b', 'missing afterwards: mount /a', 'left behind: interface rknode0']);
});

test('an image is the same for the same content, and different for a different name', () => {
  const layer = makeLayer({ '/bin/app': Buffer.from('x'), '/bin/sh': { linkTo: '/bin/app' } });
  const digest = (name: string) => makeImage([layer], { Labels: { name } }).manifest.digest;
  expect(digest('a')).toBe(digest('a'));
  expect(digest('a')).not.toBe(digest('b'));
  expect(layoutArchive('a:1', makeImage([layer], {})).length % 512).toBe(0);
});

test.each([
  ['its own registry', 'private.test', 'private.test', 'server = "http://private.test"\n[host."http://private.test"]\n'],
  [
    'its own registry on a port',
    'private.test',
    'private.test:8088',
    'server = "http://private.test:8088"\n[host."http://private.test:8088"]\n',
  ],
  ['a different registry', '_default', 'nothing.test', '[host."http://nothing.test"]\n'],
])('images for a host come from %s', (_what, host, server, text) => {
  expect(hostsToml(host, server)).toBe(`${text}capabilities = ["pull", "resolve"]\n`);
});
