/** An image name as the container tools understand it: github.com/distribution/reference, with Docker Hub's customs applied. */
export type ImageReference = {
  /** The text as it stood in the object. */
  readonly written: string;
  /** Registry host for matching: lower case, no port, `docker.io` for all of Docker Hub's names; IPv6 keeps its brackets. */
  readonly host: string;
  /** Registry port; absent when none was written or when it is the default, 443. */
  readonly port?: number;
  /** Repository path segments, at least one; `nginx` on Docker Hub is `['library', 'nginx']`. */
  readonly path: readonly string[];
  readonly tag?: string;
  /** `algorithm:hex`. */
  readonly digest?: string;
  /** Whether the author wrote a registry host, or left it to the default. */
  readonly qualified: boolean;
};
