/** The notes of a release. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { releaseNotes } from '../../../release/notes.ts';

const release = { repository: 'Example/RegKeeper', tag: 'v1.1.0', digest: `sha256:${'a'.repeat(64)}` };
const changelog =
  '# Changelog\n\n## [1.1.0] - 2027-01-31\n\n### Added\n\n- One. See [a](docs/a.md#b).\n\n## [1.0.0] - 2026-12-31\n\n- Zero.\n\n## [0.9.0] - x\n';

test('contain the section for the version, and no other', () => {
  const notes = releaseNotes(changelog, release);
  expect(
    notes.startsWith(
      '### Added\n\n- One. See [a](https://github.com/Example/RegKeeper/blob/v1.1.0/docs/a.md#b).\n\n### Install and verify\n',
    ),
  ).toBe(true);
  expect(notes).not.toContain('Zero');
  expect(releaseNotes(changelog, { ...release, tag: 'v1.0.0' })).toMatch(/^- Zero\.\n\n### Install/);
});

// GitHub shows the line breaks of release notes.
test.each([
  ['a paragraph', 'One and\ntwo.\n\nThree.', 'One and two.\n\nThree.'],
  ['list items', '- One and\n  two.\n- Three\n  and `four`.', '- One and two.\n- Three and `four`.'],
  ['a line that begins with bold text', 'One and\n**two**.', 'One and **two**.'],
  ['a line that begins with a link', '- See\n  [a](https://a).', '- See [a](https://a).'],
  ['numbered items', '1. One\n   and two\n2. Three', '1. One and two\n2. Three'],
  ['headings', '### One\nTwo\n### Three', '### One\nTwo\n### Three'],
  ['code', '- One:\n\n  ```sh\n  two \\\n    three\n  ```\n\nFour\nfive', '- One:\n\n  ```sh\n  two \\\n    three\n  ```\n\nFour five'],
  ['tables', '| a | b |\n| - | - |\n| c | d |', '| a | b |\n| - | - |\n| c | d |'],
])('have no line breaks within paragraphs and items: %s', (_name, section, expected) => {
  const notes = releaseNotes(`## [1.1.0] - x\n\n${section}\n`, release);
  expect(notes.slice(0, notes.indexOf('\n\n### Install and verify'))).toBe(expected);
});

test('show how to verify the image and the files, with the identity of the workflow', () => {
  const notes = releaseNotes(changelog, release);
  expect(notes).toContain(`cosign verify ghcr.io/example/regkeeper@${release.digest} \\\n`);
  expect(notes).toContain('--certificate-identity https://github.com/Example/RegKeeper/.github/workflows/release.yaml@refs/tags/v1.1.0\n');
  expect(notes).toContain('helm install regkeeper oci://ghcr.io/example/charts/regkeeper --version 1.1.0 ');
});

test.each([
  ['v2.0.0', 'CHANGELOG.md has no section for 2.0.0'],
  ['v0.9.0', 'the section for 0.9.0 in CHANGELOG.md is empty'],
])('cannot be created for %s', (tag, message) => {
  expect(() => releaseNotes(changelog, { ...release, tag })).toThrow(message);
});

test('the changelog in this repository has notes for its version, which GitHub accepts', () => {
  const read = (file: string) => readFileSync(join(import.meta.dirname, '../../..', file), 'utf8');
  const { version } = JSON.parse(read('package.json')) as { version: string };
  const notes = releaseNotes(read('CHANGELOG.md'), { ...release, tag: `v${version}` });
  // The summary for new users, without the changes between builds of the main branch.
  expect(notes).toContain('### Registry rules');
  expect(notes).not.toMatch(/previously|no longer|### Renamed/i);
  expect(notes.split('\n').length).toBeLessThan(120);
  // The limit for the text of a release.
  expect(notes.length).toBeLessThan(125_000);
});
