/**
 * The cluster and the folder in which docs.test.ts runs the commands of the documentation. `kind` and `docker` are simulated, because there is
 * no container engine. `kubectl logs` prints the files of the servers, because there is no kubelet. `helm install` and `helm upgrade` only
 * render. All other programs are real.
 */

import { spawn } from 'node:child_process';
import { chmod, mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { parse, stringify } from 'yaml';
import { blocks, readPage } from '../unit/docs/pages.ts';
import { lessGarbageCollection } from './binaries.ts';
import { programFile } from './program.ts';

const root = resolve(import.meta.dirname, '../..');

export type World = {
  readonly folder: string;
  /** Empties the working folder, and writes the files that the page's commands read, among them those that the page itself shows. */
  enter(page: string): Promise<void>;
  /** Runs a script with bash in the working folder. Returns both output streams in their order. */
  run(script: string): Promise<{ readonly output: string; readonly exitCode: number | null }>;
};

export type WorldSettings = {
  readonly folder: string;
  readonly kubeconfig: string;
  readonly kubectl: string;
  readonly helm: string;
  /** Folder with a folder for each of regkeeper's Pods, with its log and its audit records. */
  readonly servers: string;
};

export const usualRules = `mode: enforce
contact: the platform team (#platform)
rules:
- name: corporate
  registry: registry.example.com:5000
  pullSecret: corp-pull
  pushSecret: corp-push
- registry: docker.io/library
- registry: docker.io
  trust: false
  reason: Docker Hub is rate limited here. Use registry.example.com:5000/hub
`;

/** A Deployment of the registry in {@link usualRules}, without secrets. */
export const usualDeployment = `apiVersion: apps/v1
kind: Deployment
metadata: {name: api, namespace: shop, labels: {app: api}}
spec:
  selector:
    matchLabels: {app: api}
  template:
    metadata:
      labels: {app: api}
    spec:
      containers:
      - {name: api, image: 'registry.example.com:5000/shop/api:2.0'}
`;

/** A ConfigMap of the cluster's rules, as JSON. */
export function rulesConfigMap(rules: string): string {
  const metadata = { name: 'regkeeper-rules', namespace: 'regkeeper', labels: { 'regkeeper.io/rules': 'cluster' } };
  return JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { 'rules.yaml': rules } });
}

/** The files that the documentation names without showing them. */
const usualFiles: readonly (readonly [name: string, text: string])[] = [
  ...['rules.yaml', 'rules/rules.yaml', 'my-rules/rules.yaml', 'rules-now/rules.yaml', 'rules-next/rules.yaml'].map(
    (name) => [name, usualRules] as const,
  ),
  ...['app.yaml', 'my-app.yaml', 'object.yaml', 'overlays/prod/app.yaml', 'charts/web/templates/app.yaml'].map(
    (name) => [name, usualDeployment] as const,
  ),
  ['overlays/prod/kustomization.yaml', 'resources: [app.yaml, rules.yaml]\n'],
  ['overlays/prod/rules.yaml', rulesConfigMap(usualRules)],
  ['charts/web/Chart.yaml', 'apiVersion: v2\nname: web\nversion: 1.0.0\n'],
  ['YOUR-DIRECTORY/kustomization.yaml', 'resources: [../deploy/program]\n'],
  ['values.yaml', 'image: {repository: registry.example.com/regkeeper}\n'],
  ['config.json', '{"auths":{"registry.example.com:5000":{"auth":"Y2k6c2VjcmV0"}}}\n'],
  ['key.json', '{"type":"service_account"}\n'],
];

export async function createWorld({ folder, kubeconfig, kubectl, helm, servers }: WorldSettings): Promise<World> {
  const bin = join(folder, 'bin');
  const state = join(folder, 'state');
  const work = join(folder, 'work');
  const config = join(folder, 'kubeconfig');
  await Promise.all([mkdir(bin, { recursive: true }), mkdir(state, { recursive: true })]);
  await writeFile(config, inContext('kind-regkeeper', await readFile(kubeconfig, 'utf8')), { mode: 0o600 });
  const regkeeper = `exec node ${programFile()} "$@"`;
  const programs = {
    kind: `case "$1 $2" in
      'get clusters') cat ${state}/clusters 2>/dev/null || true ;;
      'create cluster') echo "$4" >> ${state}/clusters ;;
      'load docker-image') [ "$3" = "$(cat ${state}/image)" ] ;;
      *) echo "unexpected: kind $*" >&2; exit 1 ;;
    esac`,
    docker: `case "$1" in
      info) ;;
      build) [ -f "$4/Dockerfile" ] && echo "$3" > ${state}/image ;;
      *) echo "unexpected: docker $*" >&2; exit 1 ;;
    esac`,
    kubectl: `case "$1 $*" in
      *--help) exec ${kubectl} "$@" ;;
      logs\\ *) [ "$*" = 'logs -n regkeeper -l app.kubernetes.io/name=regkeeper --tail=-1' ] && exec cat ${servers}/*/log ${servers}/*/audit ;;
      *) exec ${kubectl} "$@" ;;
    esac`,
    kustomize: `[ "$1" = build ] && shift && exec ${kubectl} kustomize "$@"`,
    helm: `case "$1" in
      install|upgrade) shift && exec ${helm} install "$@" --dry-run=client ;;
      *) exec ${helm} "$@" ;;
    esac`,
    regkeeper,
    npx: `[ "$1" = regkeeper ] && shift && ${regkeeper}`,
  };
  for (const [name, script] of Object.entries(programs)) {
    await writeFile(join(bin, name), `#!/bin/sh\n${script}\n`);
    await chmod(join(bin, name), 0o755);
  }
  const env = {
    ...process.env,
    ...lessGarbageCollection,
    PATH: `${bin}:${process.env.PATH}`,
    KUBECONFIG: config,
    KUBERC: 'off',
    HOME: folder,
    NO_COLOR: '1',
  };

  return {
    folder: work,
    async enter(page) {
      await rm(work, { recursive: true, force: true });
      await mkdir(work, { recursive: true });
      // Pages name files of this repository relative to its root.
      for (const name of ['deploy', 'Dockerfile', 'bin', 'src', 'package.json']) await symlink(join(root, name), join(work, name));
      const files = new Map([...usualFiles, ['audit.jsonl', await auditRecords(servers)], ...filesShownIn(page)]);
      for (const [name, text] of files) {
        await mkdir(dirname(join(work, name)), { recursive: true });
        await writeFile(join(work, name), text);
      }
    },
    run(script) {
      const child = spawn('bash', ['-c', `exec 2>&1\n${script}`], { cwd: work, env, stdio: ['ignore', 'pipe', 'inherit'] });
      let output = '';
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        output += text;
      });
      return new Promise((settle, reject) => {
        child.once('error', reject);
        child.once('close', (exitCode) => settle({ output, exitCode }));
      });
    },
  };
}

/** YAML blocks that begin with the name of a file, such as `# rules.yaml`. */
export function filesShownIn(page: string): ReadonlyMap<string, string> {
  const named = blocks(readPage(page)).flatMap(({ language, text }) => {
    const name = /^# ([\w-]+\.yaml)$/m.exec(text.split('\n')[0] ?? '')?.[1];
    return language === 'yaml' && name !== undefined ? [[name, `${text}\n`] as const] : [];
  });
  return new Map(named);
}

async function auditRecords(servers: string): Promise<string> {
  const pods = await readdir(servers).catch(() => []);
  const texts = await Promise.all(pods.map((pod) => readFile(join(servers, pod, 'audit'), 'utf8').catch(() => '')));
  return texts.join('');
}

function inContext(name: string, kubeconfig: string): string {
  const config = parse(kubeconfig) as { contexts: { name: string }[]; 'current-context': string };
  const [context] = config.contexts;
  if (context) context.name = name;
  config['current-context'] = name;
  return stringify(config);
}
