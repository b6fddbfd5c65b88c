/** The Dockerfile of the image: base images, labels, user and entry point. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readDockerfileImages } from '../../../src/object/dockerfile/images.ts';
import { defaultOf } from '../../../src/settings/table.ts';

const root = join(import.meta.dirname, '../../..');
const read = (file: string) => readFileSync(join(root, file), 'utf8');
const { version, description } = JSON.parse(read('package.json')) as { version: string; description: string };

type Instruction = { readonly name: string; readonly words: string };

/** Without comments, and with continued lines joined. That is enough for our own file. */
const instructions: readonly Instruction[] = read('Dockerfile')
  .split('\n')
  .filter((line) => !line.startsWith('#'))
  .join('\n')
  .replaceAll(/\\\n\s*/g, '')
  .split('\n')
  .filter((line) => line !== '')
  .map((line) => ({ name: line.slice(0, line.indexOf(' ')), words: line.slice(line.indexOf(' ') + 1) }));

const all = (name: string) => instructions.filter((each) => each.name === name).map(({ words }) => words);
const lastStage = instructions.slice(instructions.findLastIndex(({ name }) => name === 'FROM'));

describe('the Dockerfile', () => {
  test('is parsed by the tests as intended', () => {
    expect(all('FROM')).toHaveLength(3);
    expect(instructions.every(({ name }) => /^[A-Z]+$/.test(name))).toBe(true);
  });

  test('has both base images as arguments, with their registries', () => {
    const mirrors = new Map([
      ['BUILD_IMAGE', 'mirror.example.com/node:24'],
      ['RUNTIME_IMAGE', `mirror.example.com/distroless@sha256:${'a'.repeat(64)}`],
    ]);
    const images = (args: ReadonlyMap<string, string>) => {
      const found = readDockerfileImages(read('Dockerfile'), { args, mayGrow: false });
      return Array.isArray(found) ? found.map(({ image }) => image) : found.why;
    };
    expect(new Set(images(mirrors))).toEqual(new Set(mirrors.values()));
    expect(new Set(images(new Map()))).toEqual(new Set(['docker.io/library/node:24', 'gcr.io/distroless/nodejs24-debian13:nonroot']));
  });

  test('labels the image with the values in package.json', () => {
    const [labels = ''] = all('LABEL');
    expect(labels).toContain(`org.opencontainers.image.version="${version}"`);
    expect(labels).toContain(`org.opencontainers.image.description="${description}"`);
  });

  test('runs nothing in the final stage, so it can be built for any platform', () => {
    expect(lastStage.filter(({ name }) => ['RUN', 'SHELL'].includes(name))).toEqual([]);
  });

  test('leaves health checks to the probes of the Deployment', () => {
    expect(all('HEALTHCHECK')).toEqual([]);
  });

  test('sets its user by number, which a kubelet needs for runAsNonRoot', () => {
    const users = lastStage.filter(({ name }) => name === 'USER').map(({ words }) => words);
    expect(users).toEqual([expect.stringMatching(/^[1-9]\d*:[1-9]\d*$/)]);
  });

  test('starts the program without a shell', () => {
    for (const words of [...all('ENTRYPOINT'), ...all('CMD')]) expect(JSON.parse(words)).toBeInstanceOf(Array);
    expect([all('ENTRYPOINT').length, all('CMD').length]).toEqual([1, 1]);
  });

  test('exposes the ports that the server listens on by default', () => {
    expect(all('EXPOSE')).toEqual([`${defaultOf('port')} ${defaultOf('healthPort')}`]);
  });

  test('copies files that exist and that .dockerignore does not exclude', () => {
    const sources = all('COPY')
      .filter((words) => !words.startsWith('--from='))
      .flatMap((words) => words.split(' ').slice(0, -1))
      .map((source) => source.replace(/^\.\/|\/$/g, ''));
    const ignore = read('.dockerignore')
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'));
    expect(ignore).toEqual(['*', ...sources.map((source) => `!${source}`)]);
    expect(sources.filter((source) => !existsSync(join(root, source)))).toEqual([]);
  });
});
