import { describe, expect, test } from 'vitest';
import { runProgram } from '../../../src/cli/program.ts';
import { readSettings, type ServeOptions } from '../../../src/settings.ts';

async function run(...argv: readonly string[]) {
  let out = '';
  let err = '';
  const served: ServeOptions[] = [];
  const serve = async (options: ServeOptions) => void served.push(options);
  const exitCode = await runProgram(
    argv,
    { serve },
    {
      out: (text) => {
        out += text;
      },
      err: (text) => {
        err += text;
      },
    },
  );
  return { exitCode, out, err, served };
}

describe('the command line', () => {
  test('version goes to standard output', async () => {
    expect(await run('version')).toMatchObject({
      exitCode: 0,
      out: expect.stringMatching(/^regkeeper \d+\.\d+\.\d+, Node\.js v\d+/),
      err: '',
    });
  });

  test('--help is no mistake', async () => {
    expect(await run('--help')).toMatchObject({ exitCode: 0, out: expect.stringContaining('serve'), err: '' });
    expect(await run('serve', '--help')).toMatchObject({ exitCode: 0, out: expect.stringContaining('--rules'), err: '' });
  });

  test('help can be asked for in two ways, and a command may stand behind --', async () => {
    const help = await run('serve', '--help');
    expect(await run('help', 'serve')).toEqual(help);
    expect(await run('--', 'version')).toEqual(await run('version'));
  });

  test.each([
    ['no command', [], /Usage: regkeeper/],
    ['an unknown command', ['sevre'], /unknown command 'sevre'.*Did you mean serve/s],
    ['an unknown flag', ['serve', '--prot', '1'], /unknown option '--prot'/],
    ['a port that is none', ['serve', '--port', '70000'], /a port is a number from 0 to 65535/],
    ['a choice that is none', ['serve', '--tls', 'magic'], /Allowed choices are self, files, dev/],
    ['a drain time that is none', ['serve', '--drain-seconds', '-1'], /drain-seconds/],
    ['ask without files', ['ask'], /missing required argument/],
  ])('%s: exit code 2, and what is wrong on standard error', async (_name, argv, message) => {
    expect(await run(...argv)).toMatchObject({ exitCode: 2, out: '', err: expect.stringMatching(message), served: [] });
  });

  test('serve goes on running, with its flags', async () => {
    const { exitCode, served } = await run('serve', '--rules', 'a', 'b', '--port', '0', '--drain-seconds', '1.5');
    expect(exitCode).toBeUndefined();
    expect(served).toMatchObject([{ rules: ['a', 'b'], port: 0, drainSeconds: 1.5, healthPort: 8080 }]);
  });
});

describe('settings', () => {
  const options: ServeOptions = { service: 'regkeeper', port: 8443, healthPort: 8080, logLevel: 'info' };

  test.each([
    [
      'in a pod: rules from ConfigMaps, certificate in a Secret',
      {},
      { POD_NAMESPACE: 'keepers', KUBERNETES_SERVICE_HOST: '10.0.0.1' },
      {
        rulePaths: [],
        cluster: { namespace: 'keepers' },
        tls: { mode: 'self', secretName: 'regkeeper-tls' },
        drainMilliseconds: 10_000,
        host: '::',
      },
    ],
    [
      'in a pod with mounted rules the cluster is asked for facts',
      { rules: ['/rules'] },
      { KUBERNETES_SERVICE_HOST: '10.0.0.1' },
      {
        rulePaths: ['/rules'],
        cluster: { namespace: 'regkeeper' },
      },
    ],
    [
      'for a developer: no cluster, even where a kubeconfig lies around',
      { dev: true },
      { KUBECONFIG: '/k' },
      {
        rulePaths: ['deploy/examples/rules'],
        cluster: undefined,
        tls: { mode: 'dev' },
        host: '127.0.0.1',
        drainMilliseconds: 0,
      },
    ],
    ['certificate files', { rules: ['r'], tlsCert: 'c', tlsKey: 'k' }, {}, { tls: { mode: 'files', certificate: 'c', key: 'k' } }],
  ])('%s', (_name, more, env, expected) => {
    expect(readSettings({ ...options, ...more }, env)).toMatchObject(expected);
  });

  test.each([
    ['--register without a cluster', { dev: true, register: true }, /--register needs a cluster/],
    ['--tls self without a cluster', { rules: ['r'], tls: 'self' as const }, /--tls self .* needs a cluster/],
    ['half a pair of files', { rules: ['r'], tlsCert: 'c' }, /needs both --tls-cert FILE and --tls-key FILE/],
    ['registering with files of an unknown authority', { kubeconfig: 'k', register: true, tlsCert: 'c', tlsKey: 'k' }, /--tls-ca FILE/],
    ['files beside another mode', { dev: true, tls: 'dev' as const, tlsCert: 'c', tlsKey: 'k' }, /go with --tls files/],
  ])('%s is refused with what to do', (_name, more, message) => {
    expect(() => readSettings({ ...options, ...more }, {})).toThrow(message);
  });
});
