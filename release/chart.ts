/**
 * The chart as a release publishes it. The repository does not know where it is hosted, so addresses and image in its own chart are missing or
 * placeholders. The release workflow knows both.
 */
import { parseDocument, stringify } from 'yaml';
import { type ValuesSchema, withValueTable } from './chart-readme.ts';
import { published, type Release, withAbsoluteLinks } from './published.ts';

/** The texts of the files that a release changes. */
export type ChartTexts = { readonly chart: string; readonly values: string; readonly readme: string; readonly alerts: string };

export function publishedChart({ chart, values, readme, alerts }: ChartTexts, schema: ValuesSchema, release: Release): ChartTexts {
  const newValues = withImage(values, release);
  return {
    chart: withAddresses(chart, release),
    values: newValues,
    readme: withAbsoluteLinks(withValueTable(readme, newValues, schema), 'deploy/chart', release),
    alerts: withRunbookUrls(alerts, release),
  };
}

function withAddresses(chart: string, release: Release): string {
  const { home, image, version, page, raw } = published(release);
  const document = parseDocument(chart);
  document.set('home', home);
  document.set('sources', [home]);
  document.set('icon', raw('deploy/chart/icon.svg'));
  const annotations = {
    images: stringify([{ name: 'regkeeper', image: `${image}:${version}`, platforms: ['linux/amd64', 'linux/arm64'] }]),
    links: stringify([
      { name: 'Documentation', url: page('README.md') },
      { name: 'Changelog', url: page('CHANGELOG.md') },
      { name: 'Security policy', url: page('SECURITY.md') },
    ]),
    prerelease: `${version.includes('-')}`,
  };
  for (const [name, text] of Object.entries(annotations)) document.setIn(['annotations', `artifacthub.io/${name}`], text);
  return document.toString({ lineWidth: 0 });
}

/** Changes only the two lines, so that comments and layout stay. */
function withImage(values: string, release: Release): string {
  const changed = values
    .replace(/^ {2}# Registry and path\. .*\n {2}repository: .*$/m, `  # Registry and path.\n  repository: ${published(release).image}`)
    .replace(/^ {2}digest: ""$/m, `  digest: ${release.digest}`);
  const { repository, digest } = (parseDocument(changed).toJS() as { image: { repository: string; digest: string } }).image;
  if (repository !== published(release).image || digest !== release.digest) throw new Error('values.yaml does not have the expected image');
  return changed;
}

/** The name `runbook_url` is that of kubernetes-mixin, which Alertmanager's integrations and Grafana show as a link. */
function withRunbookUrls(alerts: string, release: Release): string {
  return alerts.replaceAll(/^( +)runbook: (\S+)$/gm, (_line, indent, page) => `${indent}runbook_url: ${published(release).page(page)}`);
}
