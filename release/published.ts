/** Names and addresses of what a release publishes. They depend on the GitHub repository that runs the workflow. */
import { posix } from 'node:path';
import { versionOfTag } from './versions.ts';

export type Release = {
  /** OWNER/NAME on GitHub. */
  readonly repository: string;
  /** Such as v1.2.3. */
  readonly tag: string;
  /** Digest of the image index of all platforms, sha256:…. */
  readonly digest: string;
};

export type Published = {
  readonly version: string;
  /** Registry and path of the image. Registries accept lower case only. */
  readonly image: string;
  /** Registry and path of the folder of charts, to which `helm push` adds the name. */
  readonly charts: string;
  readonly home: string;
  /** Address of a file of the repository at the tag. */
  readonly page: (path: string) => string;
  /** Address of the content of such a file. */
  readonly raw: (path: string) => string;
};

export function published({ repository, tag }: Pick<Release, 'repository' | 'tag'>): Published {
  if (!/^[\w.-]+\/[\w.-]+$/.test(repository)) throw new Error(`the repository ${repository} is not OWNER/NAME`);
  const [owner = '', name = ''] = repository.toLowerCase().split('/');
  const home = `https://github.com/${repository}`;
  return {
    version: versionOfTag(tag),
    image: `ghcr.io/${owner}/${name}`,
    charts: `ghcr.io/${owner}/charts`,
    home,
    page: (path) => `${home}/blob/${tag}/${path}`,
    raw: (path) => `https://raw.githubusercontent.com/${repository}/${tag}/${path}`,
  };
}

/** A page that is published without the other files, such as in a packaged chart: its relative links become addresses. `folder` contains the page. */
export function withAbsoluteLinks(page: string, folder: string, release: Pick<Release, 'repository' | 'tag'>): string {
  return page.replaceAll(
    /\]\((?![a-z]+:|#)([^)#\s]+)(#[^)\s]*)?\)/g,
    (_link, target: string, anchor = '') => `](${published(release).page(posix.join(folder, target))}${anchor})`,
  );
}
