/** The check that a tag, the package, the chart, the manifests and the changelog have the same version. */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { versionOfTag, versionProblems } from '../../../release/versions.ts';

const read = (file: string) => readFileSync(join(import.meta.dirname, '../../..', file), 'utf8');
const { version } = JSON.parse(read('package.json')) as { version: string };
/** The repository with a changelog that is ready for a release. */
const released = (file: string) =>
  file === 'CHANGELOG.md' ? `# Changelog\n\n## [${version}] - 2027-01-31\n\n### Added\n\n- All.\n` : read(file);

test('the files in this repository have the same version', () => {
  expect(versionProblems(`v${version}`, released)).toEqual([]);
});

test('a different tag is a problem in every file', () => {
  const problems = versionProblems('v9.8.7', released).map(({ file, problem }) => `${file} ${problem}`);
  expect(problems).toEqual([
    ...[
      'package.json',
      'package-lock.json',
      'Dockerfile',
      'deploy/chart/Chart.yaml',
      'deploy/chart/Chart.yaml',
      'deploy/program/deployment.yaml',
      'deploy/secret-delivery/deployment.yaml',
      'deploy/scan-report/cron-job.yaml',
      'README.md',
    ].map((file) => `${file} has version ${version}, but the tag is v9.8.7`),
    'CHANGELOG.md has no section for 9.8.7',
  ]);
});

test('every manifest in deploy that contains an image of regkeeper is checked', () => {
  const root = join(import.meta.dirname, '../../..');
  const manifests = globSync('deploy/**/*.yaml', { cwd: root }).filter((file) => /image: regkeeper\.invalid\/regkeeper:/.test(read(file)));
  const checked = new Set(versionProblems('v9.8.7', released).map(({ file }) => file));
  expect(manifests.length).toBeGreaterThan(0);
  expect(manifests.filter((file) => !checked.has(file))).toEqual([]);
});

test.each([
  ['package.json', '{}'],
  ['package-lock.json', '{\n  "version": "0.0.1",\n}'],
  ['Dockerfile', 'LABEL org.opencontainers.image.version="0.0.1"'],
  ['deploy/chart/Chart.yaml', `version: ${version}\nappVersion: 0.0.1\n`],
  ['deploy/chart/Chart.yaml', `version: 0.0.1\nappVersion: "${version}"\n`],
  ['deploy/program/deployment.yaml', '        image: regkeeper.invalid/regkeeper:0.0.1\n'],
  ['deploy/secret-delivery/deployment.yaml', '        image: regkeeper.invalid/regkeeper:0.0.1\n'],
  ['deploy/scan-report/cron-job.yaml', '            image: regkeeper.invalid/regkeeper:0.0.1\n'],
  ['README.md', 'docker build -t regkeeper.invalid/regkeeper:0.0.1 .\n'],
  ['CHANGELOG.md', `## [${version}] - unreleased\n`],
])('a change of only %s is a problem', (changed, text) => {
  expect(versionProblems(`v${version}`, (file) => (file === changed ? text : released(file))).map(({ file }) => file)).toEqual([changed]);
});

test.each(['1.2.3', 'v1.2', 'v1.2.3+build', 'version', 'v1.2.3 '])('%j is not a release tag', (tag) => {
  expect(() => versionOfTag(tag)).toThrow('is not vMAJOR.MINOR.PATCH');
});

test.each([
  ['v1.2.3', '1.2.3'],
  ['v1.2.3-rc.1', '1.2.3-rc.1'],
])('%s is version %s', (tag, expected) => {
  expect(versionOfTag(tag)).toBe(expected);
});
