/** Renders the text that `npm start` prints when the development server is ready. */

import type { RunningServer } from '../../app/serve.ts';
import type { Settings } from '../../app/settings.ts';
import { renderSelector } from '../../rules/match/namespaces.ts';

type ServerFacts = Pick<RunningServer, 'url' | 'healthUrl' | 'caFile'> & {
  readonly ruleStore: Pick<RunningServer['ruleStore'], 'written'>;
};

export function renderWelcome({ url, healthUrl, ruleStore, caFile }: ServerFacts, settings: Settings): string {
  const ruleSet = ruleStore.written();
  const rules = (ruleSet?.rules ?? []).map(({ pattern, trust, until, internal, pullSecrets, pushSecret, namespaces }) => {
    const secrets = [...pullSecrets.map((name) => `pull ${name}`), ...(pushSecret === undefined ? [] : [`push ${pushSecret}`])];
    const verdict = internal ? 'internal' : trust ? 'trusted' : 'untrusted';
    const end = until === undefined ? [] : [`until ${until}`];
    const where = namespaces ? [`in ${renderSelector(namespaces)}`] : [];
    return `  ${pattern.text.padEnd(50)} ${verdict.padEnd(9)} ${[...end, ...where, ...secrets].join(', ')}`.trimEnd();
  });
  const files = settings.rulePaths.join(', ');
  const server = url === 'https://localhost:8443' ? '' : ` --server ${url}`;
  const command = (file: string) => `  npm run -s regkeeper -- review${server} deploy/examples/objects/${file}`;
  return [
    '',
    `regkeeper is running: ${url}/mutate and ${url}/validate`,
    `Health and metrics: ${healthUrl}/readyz, ${healthUrl}/metrics`,
    `CA certificate: ${caFile ?? 'your own'}`,
    '',
    ruleSet
      ? `Rules: ${files} (revision ${ruleSet.revision}, mode ${ruleSet.settings.mode}, unconfigured ${ruleSet.settings.unconfigured})`
      : `Rules: none yet in ${files}. The server is not ready until there are rules.`,
    ...rules,
    'Edit them while the server runs. Changes apply immediately.',
    '',
    'Try it in another terminal, in this directory:',
    '',
    '# A Pod gets its pull secret',
    command('pod.yaml'),
    '# A Deployment is denied, with the reason',
    command('deployment-denied.yaml'),
    '# A BuildConfig gets its pull secret and push secret',
    command('buildconfig.yaml'),
    '',
    `The log${settings.auditLog === '-' ? ' and the decisions follow' : ` follows. Audit records are written to ${settings.auditLog}`}. Press Ctrl-C to stop.`,
    '',
    '',
  ].join('\n');
}
