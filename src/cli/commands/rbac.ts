/** `rbac`: prints the ClusterRole that lets regkeeper see whether the secrets of rules exist. */
import { Command, Option } from 'commander';
import { namedSecrets } from '../../rules/store/named-secrets.ts';
import { printYaml } from '../../yaml/print-yaml.ts';
import { namespaceOption, rulesOption } from '../input/options.ts';
import { readRulesOption } from '../input/rules-from-files.ts';
import { helpNotes } from '../line/help-text.ts';
import type { ExitCode, Terminal } from '../terminal.ts';

type RbacOptions = { readonly rules: readonly string[]; readonly namespace: string; readonly serviceAccount: string };

export function rbacCommand(terminal: Terminal, finish: (code: ExitCode) => void): Command {
  return new Command('rbac')
    .addOption(rulesOption().makeOptionMandatory())
    .addOption(namespaceOption('namespace of regkeeper').default('regkeeper'))
    .addOption(new Option('--service-account <name>', 'service account of regkeeper').default('regkeeper'))
    .addHelpText('after', helpNotes({ examples }))
    .action(async ({ rules, namespace, serviceAccount }: RbacOptions) => {
      const ruleSet = await readRulesOption(rules, terminal);
      if (!ruleSet) return finish(2);
      const names = namedSecrets(ruleSet);
      if (names.length === 0) {
        terminal.err('the rules name no secrets, so no ClusterRole is needed\n');
        return;
      }
      terminal.out(secretRights(names, { namespace, serviceAccount }));
    });
}

const examples = [
  { does: 'Print the ClusterRole and its binding', line: 'regkeeper rbac --rules deploy/examples/rules' },
  { does: 'Apply them', line: 'regkeeper rbac --rules deploy/examples/rules | kubectl apply -f -' },
];

const name = 'regkeeper-secrets';

/**
 * Returns the ClusterRole that lets regkeeper see whether these secrets exist, and its binding, as YAML. With resourceNames the API server
 * allows a list or watch only if it selects one of the names (kubernetes.io, Using RBAC Authorization). regkeeper's requests do.
 */
function secretRights(names: readonly string[], { namespace, serviceAccount }: Pick<RbacOptions, 'namespace' | 'serviceAccount'>): string {
  const apiVersion = 'rbac.authorization.k8s.io/v1';
  const metadata = { name, labels: { 'app.kubernetes.io/name': 'regkeeper' } };
  const role = {
    apiVersion,
    kind: 'ClusterRole',
    metadata,
    rules: [{ apiGroups: [''], resources: ['secrets'], resourceNames: names, verbs: ['list', 'watch'] }],
  };
  const binding = {
    apiVersion,
    kind: 'ClusterRoleBinding',
    metadata,
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name },
    subjects: [{ kind: 'ServiceAccount', name: serviceAccount, namespace }],
  };
  // A secret may have a name such as 1e3 or yes. printYaml quotes it, so that YAML 1.1 parsers read text.
  return [role, binding].map((object) => `---\n${printYaml(object)}`).join('');
}
