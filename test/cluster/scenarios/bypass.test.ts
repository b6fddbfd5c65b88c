/** Sends the attacks of test/bypass that an API server can accept to a real one, with a dry run. */
import { describe, expect, test } from 'vitest';
import { type Attack, kindOf, rulesFor } from '../../bypass/attack.ts';
import { builds } from '../../bypass/builds.ts';
import { hosts } from '../../bypass/hosts.ts';
import { json } from '../../bypass/json.ts';
import { paths } from '../../bypass/paths.ts';
import { pods } from '../../bypass/pods.ts';
import { templates } from '../../bypass/templates.ts';
import { target } from '../target.ts';
import { withRegkeeper } from '../with-regkeeper.ts';

const cluster = target();
const keeper = withRegkeeper(cluster, rulesFor());

describe.each(Object.entries({ hosts, paths, pods, templates, builds, json }))('%s', (_theme, attacks) => {
  // Attacks by UPDATE need an object that the API server has stored, which the rules may deny. Only test/bypass/attacks.test.ts runs those.
  const sent = attacks.filter(
    ({ notOnCluster, oldObject, text }) => notOnCluster === undefined && oldObject === undefined && text === undefined,
  );

  test(`of ${sent.length} attacks, only those that may be allowed are allowed`, async () => {
    const manifests = sent.map((row, index) => manifestOf(row, `row-${index}`));
    const { stdout, stderr } = await cluster.kubectl(
      ['create', '-f', '-', '-n', keeper.namespace, '--dry-run=server', '-o', 'name', '--validate=ignore'],
      { stdin: manifests.map((manifest) => `---\n${JSON.stringify(manifest)}\n`).join(''), allowFailure: true },
    );
    const allowed = new Set(stdout.split('\n').map((line) => line.split('/')[1]));
    const deniedByRegkeeper = new Set([...stderr.matchAll(/denied the request: \w+ [^ /]+\/(row-\d+)/g)].map(([, name]) => name));
    // The message about an object with a controller names the controller instead, so such an object is sent alone.
    for (const [index, manifest] of manifests.entries()) {
      const name = `row-${index}`;
      if (allowed.has(name) || deniedByRegkeeper.has(name) || !hasController(manifest)) continue;
      const alone = await cluster.kubectl(['create', '-f', '-', '-n', keeper.namespace, '--dry-run=server', '--validate=ignore'], {
        stdin: JSON.stringify(manifest),
        allowFailure: true,
      });
      if (/regkeeper\.io" denied the request: \w+ of /.test(alone.stderr)) deniedByRegkeeper.add(name);
    }
    const results = sent.map(({ attack, right, apiServerRejects }, index) => {
      const name = `row-${index}`;
      const found = allowed.has(name) ? 'allowed' : deniedByRegkeeper.has(name) ? 'denied' : 'rejected by the API server';
      return { attack, right: apiServerRejects ? 'rejected by the API server' : right, found };
    });
    const wrong = results.filter(({ found, right }) => found !== right);
    expect(wrong, stderr.slice(-2000)).toEqual([]);
  });
});

function hasController(manifest: object): boolean {
  const { metadata } = manifest as { metadata?: { ownerReferences?: readonly { controller?: boolean }[] } };
  return metadata?.ownerReferences?.some(({ controller }) => controller === true) ?? false;
}

function manifestOf(row: Attack, name: string): object {
  const { group, version, kind } = kindOf(row);
  const object = row.object as { metadata?: object };
  const manifest = { apiVersion: group === '' ? version : `${group}/${version}`, kind, ...object, metadata: { ...object.metadata, name } };
  return withDefaults(manifest);
}

/** Adds the fields that an API server requires in the template of a Job. */
function withDefaults(manifest: { kind: string; spec?: { template?: { spec?: object } } }): object {
  const restartPolicy = manifest.kind === 'Job' && manifest.spec?.template?.spec ? { restartPolicy: 'Never' } : undefined;
  return restartPolicy
    ? {
        ...manifest,
        spec: { ...manifest.spec, template: { ...manifest.spec?.template, spec: { ...manifest.spec?.template?.spec, ...restartPolicy } } },
      }
    : manifest;
}
