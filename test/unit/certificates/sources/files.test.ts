/** Tests a certificate in mounted files, and its reload after changes. */
import { mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import type { CertificateWithKey } from '../../../../src/certificates/issue.ts';
import type { CertificateSource, ServerCertificate } from '../../../../src/certificates/source.ts';
import { type WatchedFiles, watchCertificateFiles } from '../../../../src/certificates/sources/files.ts';
import { eventually } from '../../../eventually.ts';
import { END, mountSecret, sampleCa, sampleServer, temporaryFolder } from '../samples.ts';

const first = sampleServer();
const second = sampleServer();
/** Longer than any test, so that only a change event can trigger the reload. */
const NO_POLL = 1_000_000_000;

describe('at startup', () => {
  test('serves the pair and its CAs', async () => {
    const ca = sampleCa();
    const server = sampleServer({ ca });
    const mount = await mounted(server, { 'ca.crt': ca.certificate });
    const source = await watched({ ...inside(mount), caBundle: join(mount, 'ca.crt') });
    expect(source.current()).toEqual({ ...server, caBundle: ca.certificate, notAfter: END });
  });

  test.each([
    {
      title: 'a missing certificate',
      files: { 'tls.key': first.key },
      message: 'certificate file DIR/tls.crt: no such file. Check the path, and that the Secret is mounted',
    },
    {
      title: 'a missing key',
      files: { 'tls.crt': first.certificate },
      message: 'key file DIR/tls.key: no such file. Check the path, and that the Secret is mounted',
    },
    {
      title: 'an invalid certificate',
      files: { 'tls.crt': 'hello', 'tls.key': first.key },
      message: 'certificate file DIR/tls.crt is not a PEM certificate. It must contain the PEM certificate chain of the server, leaf first',
    },
    {
      title: 'two certificates and no key',
      files: { 'tls.crt': first.certificate, 'tls.key': first.certificate },
      message:
        'key file DIR/tls.key contains a certificate instead of a private key. It must contain the PEM private key of the certificate',
    },
    {
      title: 'a mismatched pair',
      files: { 'tls.crt': first.certificate, 'tls.key': second.key },
      message:
        'certificate file DIR/tls.crt does not match key file DIR/tls.key. Use the certificate and the key that were issued together',
    },
    {
      title: 'invalid CAs',
      files: { 'tls.crt': first.certificate, 'tls.key': first.key, 'ca.crt': '' },
      message: 'CA file DIR/ca.crt is empty. It must contain PEM certificates',
    },
    {
      title: 'a certificate from a different CA',
      files: { 'tls.crt': first.certificate, 'tls.key': first.key, 'ca.crt': sampleCa().certificate },
      message:
        'certificate file DIR/tls.crt is not signed by a CA in DIR/ca.crt. Use the CA that issued it, and include all intermediate certificates in the certificate file',
    },
  ])('rejects $title', async ({ files, message }) => {
    const folder = await temporaryFolder();
    for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
    const caBundle = 'ca.crt' in files ? { caBundle: join(folder, 'ca.crt') } : {};
    await expect(watched({ ...inside(folder), ...caBundle })).rejects.toThrow(new Error(message.replaceAll('DIR', folder)));
  });

  test('rejects a certificate that is not valid for the names that clients use', async () => {
    const mount = await mounted(first);
    const names = ['localhost', 'regkeeper.regkeeper.svc'];
    await expect(watched({ ...inside(mount), names })).rejects.toThrow(
      `certificate file ${mount}/tls.crt is not valid for regkeeper.regkeeper.svc, which the API server uses. Request a certificate for this name`,
    );
  });

  test('serves an expired certificate, since a new one may be coming', async () => {
    const old = sampleServer({ notBefore: new Date('2020-01-01'), notAfter: new Date('2021-01-01') });
    const source = await watched(inside(await mounted(old)));
    expect(source.current().notAfter).toEqual(new Date('2021-01-01'));
  });

  test('rejects a directory in place of a file', async () => {
    const folder = await temporaryFolder();
    await mkdir(join(folder, 'tls.crt'));
    await writeFile(join(folder, 'tls.key'), first.key);
    await expect(watched(inside(folder))).rejects.toThrow(
      `certificate file ${folder}/tls.crt: is a directory. Use the path of the file in it`,
    );
  });
});

describe('later', () => {
  // Twice, because the read at each start may also catch the first change. Only an event can trigger the second reload.
  test.each([
    {
      title: "kubelet's swap of a mounted Secret",
      write: (folder: string, pair: CertificateWithKey) => mountSecret(folder, secretOf(pair)),
    },
    { title: 'files that are written one after the other', write: writePlain },
  ])('follows $title', async ({ write }) => {
    const folder = await temporaryFolder();
    await write(folder, first);
    const source = await watched({ ...inside(folder), pollMilliseconds: NO_POLL });
    for (const pair of [second, first]) {
      const next = nextOf(source);
      await write(folder, pair);
      expect(await next).toMatchObject(pair);
    }
    expect(source.current()).toMatchObject(first);
  });

  test('finds by polling what no event reports: a link to a file elsewhere', async () => {
    const [folder, elsewhere] = [await temporaryFolder(), await temporaryFolder()];
    await writePlain(elsewhere, first);
    for (const name of ['tls.crt', 'tls.key']) await symlink(join(elsewhere, name), join(folder, name));
    const source = await watched({ ...inside(folder), pollMilliseconds: 10 });
    const next = nextOf(source);
    await writePlain(elsewhere, second);
    expect(await next).toMatchObject(second);
  });

  test('keeps the old pair while the new one is mismatched, damaged or missing, and logs each problem once', async () => {
    const mount = await mounted(first);
    const { problems, onProblem, untilProblem } = problemList();
    const source = await watched({ ...inside(mount), onProblem, pollMilliseconds: 5 });

    await mountSecret(mount, { 'tls.crt': second.certificate, 'tls.key': first.key });
    await untilProblem(/tls\.crt does not match key file .*tls\.key\. .*\. The previous certificate is still in use$/);
    await mountSecret(mount, { 'tls.crt': second.certificate, 'tls.key': 'hello' });
    await untilProblem(/tls\.key is not a PEM private key/);
    await rename(join(mount, 'tls.crt'), join(mount, 'tls.away'));
    await untilProblem(/tls\.crt: no such file/);
    expect(source.current()).toMatchObject(first);

    const next = nextOf(source);
    await rename(join(mount, 'tls.away'), join(mount, 'tls.crt'));
    await mountSecret(mount, secretOf(second));
    expect(await next).toMatchObject(second);
    expect(problems).toHaveLength(3);
  });

  test('keeps the old pair while the new one is for a different host', async () => {
    const mount = await mounted(first);
    const { onProblem, untilProblem } = problemList();
    const source = await watched({ ...inside(mount), names: ['localhost'], onProblem, pollMilliseconds: 5 });
    await mountSecret(mount, secretOf(sampleServer({ dnsNames: ['other.example.test'] })));
    await untilProblem(/tls\.crt is not valid for localhost, .*\. The previous certificate is still in use$/);
    expect(source.current()).toMatchObject(first);
  });

  test('logs the same problem again when it recurs after a valid pair', async () => {
    const mount = await mounted(first);
    const { problems, onProblem, untilProblem } = problemList();
    const source = await watched({ ...inside(mount), onProblem });
    await mountSecret(mount, { 'tls.crt': '', 'tls.key': first.key });
    await untilProblem(/is empty/);
    const next = nextOf(source);
    await mountSecret(mount, secretOf(second));
    await next;
    problems.length = 0;
    await mountSecret(mount, { 'tls.crt': '', 'tls.key': first.key });
    await untilProblem(/is empty/);
  });

  test('logs a listener that throws, and keeps watching', async () => {
    const mount = await mounted(first);
    const { onProblem, untilProblem } = problemList();
    const source = await watched({ ...inside(mount), onProblem });
    const stop = source.onChange(() => {
      throw new Error('no context');
    });
    await mountSecret(mount, secretOf(second));
    await untilProblem(/cannot use the new version of \S+: no context/);
    stop();
    const next = nextOf(source);
    await mountSecret(mount, secretOf(first));
    expect(await next).toMatchObject(first);
  });

  test('notifies no listener after close, and still returns its certificate', async () => {
    const mount = await mounted(first);
    const closed = await watched(inside(mount));
    const open = await watched(inside(mount));
    const heard = vi.fn();
    closed.onChange(heard);
    closed.close();
    const next = nextOf(open);
    await mountSecret(mount, secretOf(second));
    await next;
    expect(heard).not.toHaveBeenCalled();
    expect(closed.current()).toMatchObject(first);
  });

  test('survives the removal of the directory', async () => {
    const mount = await mounted(first);
    const { onProblem, untilProblem } = problemList();
    const source = await watched({ ...inside(mount), onProblem, pollMilliseconds: 10 });
    await rm(mount, { recursive: true });
    await untilProblem(/no such file/);
    expect(source.current()).toMatchObject(first);
  });
});

function inside(folder: string) {
  return { certificate: join(folder, 'tls.crt'), key: join(folder, 'tls.key') };
}

function secretOf({ certificate, key }: CertificateWithKey) {
  return { 'tls.crt': certificate, 'tls.key': key };
}

async function mounted(pair: CertificateWithKey, more: Record<string, string> = {}): Promise<string> {
  const mount = await temporaryFolder();
  await mountSecret(mount, { ...secretOf(pair), ...more });
  return mount;
}

async function writePlain(folder: string, pair: CertificateWithKey): Promise<void> {
  for (const [name, text] of Object.entries(secretOf(pair))) await writeFile(join(folder, name), text);
}

async function watched(options: Omit<WatchedFiles, 'onProblem'> & Partial<WatchedFiles>): Promise<CertificateSource> {
  const source = await watchCertificateFiles({ onProblem: () => {}, ...options });
  onTestFinished(() => source.close());
  return source;
}

function nextOf(source: CertificateSource): Promise<ServerCertificate> {
  return new Promise((resolve) => {
    const stop = source.onChange((certificate) => {
      stop();
      resolve(certificate);
    });
  });
}

function problemList() {
  const problems: string[] = [];
  const untilProblem = (pattern: RegExp) => eventually(() => expect(problems.at(-1)).toMatch(pattern), { timeout: 60_000, interval: 5 });
  return { problems, onProblem: (problem: string) => problems.push(problem), untilProblem };
}
