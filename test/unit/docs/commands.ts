/** Finds the shell commands in the documentation, and lists those that no test can run, with the reason. */
import { blocks, outsideBlocks, pages, readPage } from './pages.ts';

export type Step = {
  readonly page: string;
  /** 1-based line of the first command. */
  readonly line: number;
  readonly script: string;
  /** The documented output. Undefined for blocks without output. */
  readonly output: string | undefined;
};

/** A block of `sh` is one step. A block of `console` has a step for each line that begins with `$ `, with the output below it. */
export function stepsOf(page: string): readonly Step[] {
  return blocks(readPage(page)).flatMap(({ language, line, text }): Step[] => {
    if (language === 'sh') return isSynopsis(text) ? [] : [{ page, line, script: text, output: undefined }];
    if (language !== 'console') return [];
    const lines = text.split('\n');
    const starts = lines.flatMap((each, index) => (each.startsWith('$ ') ? [index] : []));
    return starts.map((start, index) => {
      const shown = lines.slice(start, starts[index + 1]);
      // A command may go on in further lines.
      const length = 1 + shown.findIndex((each) => !/[\\|]$/.test(each));
      return { page, line: line + start, script: shown.slice(0, length).join('\n').slice(2), output: shown.slice(length).join('\n') };
    });
  });
}

/** The usage of a command, such as `regkeeper lint FILES… [--strict]`, which tools.test.ts compares with --help. */
function isSynopsis(script: string): boolean {
  return /^regkeeper [a-z]+ .*(?:\[-|\|zsh\|)/.test(script);
}

/** Commands in the text, as in `kubectl get pods`. Those with `…`, or that end with an option, are not complete. */
export function inlineCommands(page: string, program: string): readonly string[] {
  const text = outsideBlocks(readPage(page));
  return [...text.matchAll(/`([^`\n]+(?:\n[^`\n]+)?)`/g)]
    .map(([, command = '']) => command.replace(/\s+/g, ' '))
    .filter((command) => command.startsWith(`${program} `) && !/…| -\w$/.test(command));
}

/** Decisions are records, and the READMEs of tests and certificates are for developers, who run these commands all the time. */
export const pagesWithSteps = pages.filter(
  (page) => /^(?:README|SECURITY)\.md$|^(?:docs|deploy)\//.test(page) && !page.startsWith('docs/decisions/') && stepsOf(page).length > 0,
);

/** Pages whose commands need another cluster than those of docs.test.ts, and run in the scenario of the same name. */
export const pagesWithOwnScenario: readonly string[] = ['docs/guides/zero-to-enforce.md'];

type NotRun = { readonly command: RegExp; readonly because: string };

/** Commands that no test runs. Each line of a step that matches is left out. commands.test.ts checks that every entry is needed. */
export const notRun: readonly NotRun[] = [
  { command: /^oc |\bopenshift-(?:config|source)\b/, because: 'needs OpenShift' },
  { command: /\baws /, because: 'needs an account of AWS' },
  { command: /^az /, because: 'needs an account of Azure' },
  { command: /\bskopeo\b|\bcosign\b|^docker build --build-arg|^(?:build|runtime)=/, because: 'needs the internet' },
  { command: /^docker (?:buildx|run)|docker push/, because: 'needs a container engine and a registry' },
  { command: /^npm ci/, because: 'replaces the modules that run the tests. CI runs both commands in a clean clone' },
  { command: /^kubectl port-forward|^curl localhost/, because: 'needs a kubelet' },
  { command: /^kubectl top/, because: 'needs the metrics server' },
  { command: /^kubectl get is /, because: 'the test cluster has no short names for the kinds of OpenShift' },
  { command: /^kind delete/, because: 'ends the cluster' },
  { command: /^kubectl create namespace regkeeper$/, because: 'the namespace exists. chart.test.ts creates it' },
  { command: /^helm (?:test|repo)/, because: 'needs a node that runs Pods, or a published chart' },
  {
    command: /^kubectl delete (?:mutatingwebhookconfiguration|namespace regkeeper|clusterrole)|^helm uninstall/,
    because: 'uninstall.test.ts runs it',
  },
];

/** Commands with another exit code than 0. */
export const otherExitCodes: readonly { readonly command: RegExp; readonly exitCode: number; readonly because: string }[] = [
  {
    command: /^kubectl get pods,deployments,namespaces,serviceaccounts /,
    exitCode: 1,
    because: "regkeeper's own image is not from a registry of the rules",
  },
  {
    command: /grep -E '(?:not ready\|cannot register|restored the\|)/,
    exitCode: 1,
    because: 'nothing is wrong on the test cluster, so the log has no such line',
  },
];

/** The lines of a script as the shell reads them: with continuations, and with the rest of a quoted text or a pipe. */
export function commandLines(script: string): readonly string[] {
  const lines: string[] = [];
  let open = '';
  for (const line of script.split('\n')) {
    open = open === '' ? line : `${open}\n${line}`;
    const quotes = open.replace(/\\./g, '').match(/["']/g) ?? [];
    if (/[\\|]$/.test(line) || quotes.length % 2 > 0) continue;
    lines.push(open);
    open = '';
  }
  return open === '' ? lines : [...lines, open];
}

/** The script without comments and without commands that are not run. Undefined if nothing is left. */
export function runnable(script: string): string | undefined {
  const left = commandLines(script).filter(
    (line) => line.trim() !== '' && !line.startsWith('#') && !notRun.some(({ command }) => command.test(line)),
  );
  return left.length === 0 ? undefined : left.join('\n');
}
