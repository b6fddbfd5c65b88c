/** The attacks of test/bypass, as far as an API server takes them: sent all at once, and not stored. */
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
  // What an UPDATE changes needs an object to change, which an API server has only where it has let it in: the engine's tests have those.
  const sent = attacks.filter(
    ({ notOnCluster, oldObject, text }) => notOnCluster === undefined && oldObject === undefined && text === undefined,
  );

  test(`of ${sent.length} attacks, those are let in that may be`, async () => {
    const manifests = sent.map((row, index) => manifestOf(row, `row-${index}`));
    const { stdout, stderr } = await cluster.kubectl(
      ['create', '-f', '-', '-n', keeper.namespace, '--dry-run=server', '-o', 'name', '--validate=ignore'],
      { stdin: manifests.map((manifest) => `---\n${JSON.stringify(manifest)}\n`).join(''), allowFailure: true },
    );
    const admitted = new Set(stdout.split('\n').map((line) => line.split('/')[1]));
    const refusedByUs = new Set([...stderr.matchAll(/denied the request: \w+ [^ /]+\/(row-\d+)/g)].map(([, name]) => name));
    const told = sent.map(({ attack, right, apiServerRejects }, index) => {
      const name = `row-${index}`;
      const found = admitted.has(name) ? 'admitted' : refusedByUs.has(name) ? 'refused' : 'refused by the API server';
      return { attack, right: apiServerRejects ? 'refused by the API server' : right, found };
    });
    const wrong = told.filter(({ found, right }) => found !== right);
    expect(wrong, stderr.slice(-2000)).toEqual([]);
  });
});

function manifestOf(row: Attack, name: string): object {
  const { group, version, kind } = kindOf(row);
  const object = row.object as { metadata?: object };
  const manifest = { apiVersion: group === '' ? version : `${group}/${version}`, kind, ...object, metadata: { ...object.metadata, name } };
  return withDefaults(manifest);
}

/** What an API server asks of a template beside its images. */
function withDefaults(manifest: { kind: string; spec?: { template?: { spec?: object } } }): object {
  const restartPolicy = manifest.kind === 'Job' && manifest.spec?.template?.spec ? { restartPolicy: 'Never' } : undefined;
  return restartPolicy
    ? {
        ...manifest,
        spec: { ...manifest.spec, template: { ...manifest.spec?.template, spec: { ...manifest.spec?.template?.spec, ...restartPolicy } } },
      }
    : manifest;
}
