/** Container images made here, in the OCI format: layers as tar archives, a configuration, and a manifest. */

import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';

export interface Image {
  readonly manifest: Blob;
  /** Its digest is what a node calls the id of the image. */
  readonly config: Blob;
  readonly layers: readonly Blob[];
}

export interface Blob {
  readonly mediaType: string;
  /** `sha256:…` */
  readonly digest: string;
  readonly content: Buffer;
}

/** What the runtime reads of an image's configuration, with the field names of the OCI image specification. */
export interface ImageConfig {
  readonly Entrypoint?: readonly string[];
  readonly Cmd?: readonly string[];
  readonly Env?: readonly string[];
  readonly User?: string;
  readonly WorkingDir?: string;
  readonly Labels?: Readonly<Record<string, string>>;
  readonly ExposedPorts?: Readonly<Record<string, object>>;
}

/** By absolute path: the content of a file, or the target of a symbolic link. Every file is executable. */
export type Files = Readonly<Record<string, Buffer | { readonly linkTo: string }>>;

export function makeLayer(files: Files): Blob {
  return blob('application/vnd.oci.image.layer.v1.tar', tar(files));
}

/** Of images that do nothing. */
export const sleepingImage: ImageConfig = { Entrypoint: ['/bin/sleep', '100000'], Env: ['PATH=/bin'] };

/** The files of images that do nothing: a shell and some programs. */
export async function busyboxLayer(): Promise<Blob> {
  const links = ['sh', 'sleep', 'cat', 'true'].map((name) => [`/bin/${name}`, { linkTo: '/bin/busybox' }] as const);
  return makeLayer({ '/bin/busybox': await readFile('/bin/busybox'), ...Object.fromEntries(links) });
}

export function makeImage(layers: readonly Blob[], config: ImageConfig): Image {
  const configuration = jsonBlob('application/vnd.oci.image.config.v1+json', {
    architecture: process.arch === 'x64' ? 'amd64' : process.arch,
    os: 'linux',
    config,
    rootfs: { type: 'layers', diff_ids: layers.map(({ digest }) => digest) },
  });
  const manifest = jsonBlob(manifestType, {
    schemaVersion: 2,
    mediaType: manifestType,
    config: descriptor(configuration),
    layers: layers.map(descriptor),
  });
  return { manifest, config: configuration, layers };
}

/** An OCI layout as a tar archive, which `ctr images import` reads. The image gets this name on the node. */
export function layoutArchive(name: string, { manifest, config, layers }: Image): Buffer {
  const index = {
    schemaVersion: 2,
    manifests: [{ ...descriptor(manifest), annotations: { 'io.containerd.image.name': name } }],
  };
  const stored = [manifest, config, ...layers].map(({ digest, content }) => [`blobs/${digest.replace(':', '/')}`, content] as const);
  return tar({
    'oci-layout': Buffer.from('{"imageLayoutVersion":"1.0.0"}'),
    'index.json': Buffer.from(JSON.stringify(index)),
    ...Object.fromEntries(stored),
  });
}

const manifestType = 'application/vnd.oci.image.manifest.v1+json';

function descriptor({ mediaType, digest, content }: Blob): object {
  return { mediaType, digest, size: content.length };
}

function jsonBlob(mediaType: string, value: object): Blob {
  return blob(mediaType, Buffer.from(JSON.stringify(value)));
}

function blob(mediaType: string, content: Buffer): Blob {
  return { mediaType, digest: `sha256:${createHash('sha256').update(content).digest('hex')}`, content };
}

/** A tar archive in the format ustar. */
function tar(files: Files): Buffer {
  const parts = Object.entries(files).flatMap(([path, file]) => {
    const name = path.replace(/^\//, '');
    if (!Buffer.isBuffer(file)) return [tarHeader(name, { type: '2', size: 0, linkTo: file.linkTo })];
    const padding = Buffer.alloc((tarBlock - (file.length % tarBlock)) % tarBlock);
    return [tarHeader(name, { type: '0', size: file.length }), file, padding];
  });
  return Buffer.concat([...parts, Buffer.alloc(2 * tarBlock)]);
}

const tarBlock = 512;

interface TarEntry {
  /** `0` for a file, `2` for a symbolic link. */
  readonly type: '0' | '2';
  readonly size: number;
  readonly linkTo?: string;
}

function tarHeader(name: string, { type, size, linkTo = '' }: TarEntry): Buffer {
  if (Buffer.byteLength(name) > 100) throw new Error(`${name} is too long for a tar header`);
  const header = Buffer.alloc(tarBlock);
  const octal = (value: number, length: number) => `${value.toString(8).padStart(length - 1, '0')}\0`;
  header.write(name, 0);
  header.write(octal(0o755, 8), 100);
  header.write(octal(0, 8), 108);
  header.write(octal(0, 8), 116);
  header.write(octal(size, 12), 124);
  header.write(octal(0, 12), 136);
  header.write(' '.repeat(8), 148);
  header.write(type, 156);
  header.write(linkTo, 157);
  header.write('ustar\x0000', 257);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return header;
}
