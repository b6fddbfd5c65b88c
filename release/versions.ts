/** Every place that names the version of a release, and whether it agrees with the tag. */

/** What is wrong in one file, as a sentence without a full stop. */
export type VersionProblem = { readonly file: string; readonly problem: string };

const imageInManifest = /image: regkeeper\.invalid\/regkeeper:(.*)$/m;

/** The version that each file names first. The lock file names it twice, and npm keeps both the same. */
const versions: readonly (readonly [file: string, pattern: RegExp])[] = [
  ['package.json', /^ {2}"version": "(.*)",$/m],
  ['package-lock.json', /^ {2}"version": "(.*)",$/m],
  ['Dockerfile', /image\.version="(.*)"/],
  ['deploy/chart/Chart.yaml', /^version: "?([^"\n]*)"?$/m],
  ['deploy/chart/Chart.yaml', /^appVersion: "?([^"\n]*)"?$/m],
  ['deploy/program/deployment.yaml', imageInManifest],
  ['deploy/secret-delivery/deployment.yaml', imageInManifest],
  ['deploy/scan-report/cron-job.yaml', imageInManifest],
  ['README.md', /regkeeper\.invalid\/regkeeper:(\S+)/],
];

/** The version of a tag such as `v1.2.3` or `v1.2.3-rc.1`. @throws Error if the tag has another form */
export function versionOfTag(tag: string): string {
  const version = /^v(\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?)$/.exec(tag)?.[1];
  if (version === undefined) throw new Error(`the tag ${tag} is not vMAJOR.MINOR.PATCH`);
  return version;
}

/** `read` returns the text of a file, by its path from the root of the repository. */
export function versionProblems(tag: string, read: (file: string) => string): readonly VersionProblem[] {
  const version = versionOfTag(tag);
  const different = versions.flatMap(([file, pattern]) => {
    const found = pattern.exec(read(file))?.[1];
    return found === version ? [] : [{ file, problem: `has version ${found ?? '(none)'}, but the tag is ${tag}` }];
  });
  return [...different, ...changelogProblems(version, read('CHANGELOG.md'))];
}

function changelogProblems(version: string, changelog: string): readonly VersionProblem[] {
  const heading = changelog.split('\n').find((line) => line.startsWith(`## [${version}]`));
  if (heading === undefined) return [{ file: 'CHANGELOG.md', problem: `has no section for ${version}` }];
  if (/ - \d{4}-\d{2}-\d{2}$/.test(heading)) return [];
  return [{ file: 'CHANGELOG.md', problem: `has no date for ${version}, such as "## [${version}] - 2027-01-31"` }];
}
