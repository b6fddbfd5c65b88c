/** `rbac`: prints the permissions that depend on the rules and the custom kinds: to see whether secrets exist, and to deliver them. */
import { Command, Option } from 'commander';
import { deliveryRights } from '../../delivery/rights.ts';
import { isCustomKind, type KindRow } from '../../object/kinds.ts';
import type { RuleSet } from '../../rules/rule-set.ts';
import { namedSecrets } from '../../rules/store/named-secrets.ts';
import { ConfigurationError } from '../../settings/configuration-error.ts';
import { printYaml } from '../../yaml/print-yaml.ts';
import { customKindsOption, readCustomKindsOption } from '../input/kinds-from-files.ts';
import { namespaceOption, rulesOption } from '../input/options.ts';
import { readRulesOption } from '../input/rules-from-files.ts';
import { helpNotes } from '../line/help-text.ts';
import type { ExitCode, Terminal } from '../terminal.ts';

type RbacOptions = {
  readonly rules: readonly string[];
  readonly namespace: string;
  readonly serviceAccount?: string;
  readonly deliver?: true;
  readonly excludeNamespaces?: readonly string[];
  readonly customKinds?: readonly string[];
};

export function rbacCommand(terminal: Terminal, finish: (code: ExitCode) => void): Command {
  return new Command('rbac')
    .addOption(rulesOption().makeOptionMandatory())
    .addOption(namespaceOption("set regkeeper's namespace").default('regkeeper'))
    .addOption(
      new Option('--service-account <name>', 'set the service account (default: "regkeeper", or "regkeeper-deliver" with --deliver)'),
    )
    .addOption(new Option('--deliver', 'print the permissions and policy for secret delivery'))
    .addOption(new Option('--exclude-namespaces <name...>', 'with --deliver: deliver no secrets to these namespaces'))
    .addOption(customKindsOption('with --deliver: load files that declare custom resources'))
    .addHelpText('after', helpNotes({ examples }))
    .action(async (options: RbacOptions) => {
      if (!options.deliver) rejectDeliveryOptions(options);
      const ruleSet = await readRulesOption(options.rules, terminal);
      const customKinds = await readCustomKinds(options, terminal);
      if (!ruleSet || !customKinds) return finish(2);
      if (options.deliver) return printDelivery(ruleSet, customKinds, options, terminal);
      const names = namedSecrets(ruleSet);
      if (names.length === 0) {
        terminal.err('the rules reference no secrets, so no ClusterRole is needed\n');
        return;
      }
      terminal.out(secretRights(names, { namespace: options.namespace, serviceAccount: options.serviceAccount ?? 'regkeeper' }));
    });
}

/** They have no effect on the permissions of the webhook, and a scan reads the custom kinds of the server. */
function rejectDeliveryOptions({ customKinds, excludeNamespaces }: RbacOptions): void {
  const useless = (customKinds && '--custom-kinds') ?? (excludeNamespaces && '--exclude-namespaces');
  if (useless) throw new ConfigurationError(`${useless} can be used only with --deliver`);
}

/** Returns undefined if a file has problems. */
async function readCustomKinds({ customKinds: files }: RbacOptions, terminal: Terminal): Promise<readonly KindRow[] | undefined> {
  if (!files) return [];
  const kinds = await readCustomKindsOption(files, terminal);
  return kinds?.rows.filter(isCustomKind);
}

function printDelivery({ deliveredSecrets }: RuleSet, customKinds: readonly KindRow[], options: RbacOptions, terminal: Terminal): void {
  const { namespace, serviceAccount = 'regkeeper-deliver', excludeNamespaces: excludedNamespaces = [] } = options;
  if (deliveredSecrets.length === 0) {
    terminal.err('the rules have no secrets to deliver, so secret delivery needs no permissions\n');
    return;
  }
  const rights = deliveryRights(deliveredSecrets, { namespace, serviceAccount, excludedNamespaces, customKinds });
  terminal.out(rights.map(document).join(''));
}

const examples = [
  { does: 'Print the ClusterRole and its binding', line: 'regkeeper rbac --rules deploy/examples/rules' },
  { does: 'Apply them', line: 'regkeeper rbac --rules deploy/examples/rules | kubectl apply -f -' },
  {
    does: 'Apply the permissions for secret delivery',
    line: 'regkeeper rbac --deliver --rules deploy/examples/rules | kubectl apply -f -',
  },
  {
    does: 'Print them with permissions on custom resources',
    line: 'regkeeper rbac --deliver --rules deploy/examples/rules --custom-kinds deploy/custom-kinds/custom-kinds.yaml',
  },
];

const name = 'regkeeper-secrets';

/**
 * Returns the ClusterRole that lets regkeeper see whether these secrets exist, and its binding, as YAML. With resourceNames the API server
 * allows a list or watch only if it selects one of the names (kubernetes.io, Using RBAC Authorization). regkeeper's requests do.
 */
function secretRights(
  names: readonly string[],
  { namespace, serviceAccount }: { readonly namespace: string; readonly serviceAccount: string },
): string {
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
  return [role, binding].map(document).join('');
}

/** A secret may have a name such as 1e3 or yes. printYaml quotes it, so that YAML 1.1 parsers read text. */
function document(object: unknown): string {
  return `---\n${printYaml(object)}`;
}
