/** Renders the text that `npm start` prints when the development server is ready. */

import type { RunningServer } from '../../app/serve.ts';
import type { Settings } from '../../app/settings.ts';
import { renderSelector } from '../../rules/match/namespaces.ts';

export function renderWelcome({ url, healthUrl, ruleStore, caFile }: RunningServer, settings: Settings): string {
  const ruleSet = ruleStore.written();
  const rules = (ruleSet?.rules ?? []).map(({ pattern, trust, internal, pullSecrets, pushSecret, namespaces }) => {
    const secrets = [...pullSecrets.map((name) => `pull ${name}`), ...(pushSecret === undefined ? [] : [`push ${pushSecret}`])];
    const verdict = internal ? 'internal' : trust ? 'trusted' : 'untrusted';
    const where = namespaces ? [`in ${renderSelector(namespaces)}`] : [];
    return `  ${pattern.text.padEnd(50)} ${verdict.padEnd(9)} ${[...where, ...secrets].join(', ')}`.trimEnd();
  });
  const server = url === 'https://localhost:8443' ? '' : ` --server ${url}`;
  const command = (file: string) => `  npm run -s regkeeper -- review${server} deploy/examples/objects/${file}`;
  return [
    '',
    `regkeeper answers on ${url}/mutate and /validate, health on ${healthUrl}/readyz`,
    `its certificate is signed by ${caFile ?? 'your own authority'}`,
    '',
    `rules of ${settings.rulePaths.join(', ')} (revision ${ruleSet?.revision}, mode ${ruleSet?.settings.mode}, other images: ${ruleSet?.settings.unconfigured}):`,
    ...rules,
    'edit them while this runs: a change is in force at once',
    '',
    'In another terminal, in this folder:',
    '',
    '# a Pod is given its pull secret',
    command('pod.yaml'),
    '# a Deployment is denied, with the reason',
    command('deployment-denied.yaml'),
    '# a BuildConfig is given its pull and push secret',
    command('buildconfig.yaml'),
    '',
    settings.auditLog === '-'
      ? 'The record of each decision follows here, a line each. Ctrl-C ends it.'
      : `The record of each decision goes into ${settings.auditLog}, a line each. Ctrl-C ends it.`,
    '',
    '',
  ].join('\n');
}
