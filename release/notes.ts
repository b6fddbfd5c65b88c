/** The notes of a release: its section of the changelog, and how to get and verify what was published. */
import { published, type Release, withAbsoluteLinks } from './published.ts';

/** @throws Error if the changelog has no section for the version, or an empty one */
export function releaseNotes(changelog: string, release: Release): string {
  const { version } = published(release);
  const section = unwrapped(changelogSection(changelog, version));
  return `${withAbsoluteLinks(section, '', release)}\n\n${howToVerify(release)}`;
}

/** The text under the heading of a version, up to the heading of the next one. */
function changelogSection(changelog: string, version: string): string {
  const lines = changelog.split('\n');
  const start = lines.findIndex((line) => line.startsWith(`## [${version}]`));
  if (start < 0) throw new Error(`CHANGELOG.md has no section for ${version}`);
  const end = lines.findIndex((line, index) => index > start && line.startsWith('## '));
  const text = lines
    .slice(start + 1, end < 0 ? undefined : end)
    .join('\n')
    .trim();
  if (text === '') throw new Error(`the section for ${version} in CHANGELOG.md is empty`);
  return text;
}

/** An empty line, or the first line of a heading, table row, quotation, code block or list item. */
const startsBlock = /^\s*($|[#|>]|```|[-*+]\s|\d+\.\s)/;
const hasOneLine = /^\s*($|[#|]|```)/;

/** Each paragraph and list item in one line. GitHub shows the line breaks of release notes, unlike those of Markdown files. */
function unwrapped(markdown: string): string {
  const lines: string[] = [];
  let isCode = false;
  for (const line of markdown.split('\n')) {
    const isFence = /^\s*```/.test(line);
    const continues = !isCode && !startsBlock.test(line) && !hasOneLine.test(lines.at(-1) ?? '');
    if (continues) lines.push(`${lines.pop()} ${line.trim()}`);
    else lines.push(line);
    if (isFence) isCode = !isCode;
  }
  return lines.join('\n');
}

function howToVerify(release: Release): string {
  const { image, charts, version, home } = published(release);
  const identity = `${home}/.github/workflows/release.yaml@refs/tags/${release.tag}`;
  const options = `--certificate-oidc-issuer https://token.actions.githubusercontent.com \\\n  --certificate-identity ${identity}`;
  return `### Install and verify

\`\`\`sh
# The image for amd64 and arm64
cosign verify ${image}@${release.digest} \\
  ${options}
# The chart, which names the image by its digest
helm install regkeeper oci://${charts}/regkeeper --version ${version} --namespace regkeeper --create-namespace
# The files of this release
cosign verify-blob SHA256SUMS --new-bundle-format --bundle SHA256SUMS.sigstore.json \\
  ${options}
sha256sum --check SHA256SUMS
\`\`\`
`;
}
