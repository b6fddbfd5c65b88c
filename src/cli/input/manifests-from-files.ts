/** The manifests of `-f` and of `review`, from files, folders and standard input. */
import type { ParsedManifests } from '../../evaluate/parse-manifests.ts';
import { readManifests, readStandardInput } from '../../evaluate/read-manifests.ts';

/** Reads manifests. That nothing was found at all is a problem of each path, because a mistyped path must not look like success. */
export async function readManifestsOption(paths: readonly string[]): Promise<ParsedManifests> {
  const input = await readManifests(paths, readStandardInput);
  if (input.manifests.length + input.problems.length > 0) return input;
  const problems = paths.map((file) => ({ file, code: 'unreadable' as const, message: 'no Kubernetes objects found' }));
  return { manifests: [], problems };
}
