/** Options that several commands have. */
import { InvalidArgumentError, Option } from 'commander';
import { parseDay } from '../../evaluate/parse-day.ts';
import { dnsLabel } from '../../rules/language/label-grammar.ts';
import { parseLabelSelector } from '../../rules/language/label-selector.ts';

export function rulesOption(description = 'rules: files or directories'): Option {
  return new Option('--rules <paths...>', description);
}

export function manifestsOption(): Option {
  return new Option('-f, --filename <paths...>', 'manifests: files or directories, or - for standard input');
}

export function namespaceOption(description = 'namespace for objects that have none'): Option {
  return new Option('-n, --namespace <name>', description).argParser(parseNamespace);
}

function parseNamespace(text: string): string {
  if (!new RegExp(dnsLabel).test(text)) throw new InvalidArgumentError('Use at most 63 lower-case letters, digits and hyphens.');
  return text;
}

export function userOption(): Option {
  return new Option('--user <name>', 'user who creates the objects').default('developer');
}

export function assumeCompleteOption(): Option {
  return new Option('--assume-complete', 'treat secrets and service accounts not in files as missing');
}

export function quietOption(): Option {
  return new Option('-q, --quiet', 'print only findings');
}

/** The day for which exemptions and ends of rules are evaluated. Its value is noon in UTC, in milliseconds since 1970. */
export function dateOption(): Option {
  return new Option('--date <date>', 'evaluate the rules as of this date, YYYY-MM-DD (default: today, UTC)').argParser((text) => {
    const time = parseDay(text);
    if (time === undefined) throw new InvalidArgumentError('Use YYYY-MM-DD, such as 2027-03-31.');
    return time;
  });
}

/** Accepts what `check` and `diff` report as `unknown-kind`. */
export function skipUnknownOption(): Option {
  return new Option('--skip-unknown', 'accept unknown kinds that may contain images');
}

export function kubeconfigOption(): Option {
  return new Option('--kubeconfig <file>', 'kubeconfig of the cluster (default: KUBECONFIG, else ~/.kube/config)');
}

export function contextOption(): Option {
  return new Option('--context <name>', 'context of the kubeconfig (default: the current context)');
}

export function regkeeperNamespaceOption(): Option {
  return new Option('--regkeeper-namespace <name>', "regkeeper's namespace").default('regkeeper').argParser(parseNamespace);
}

export function allNamespacesOption(): Option {
  return new Option('-A, --all-namespaces', 'objects in all namespaces (the default)').conflicts('namespace');
}

/** As in `kubectl get -l`. The value is the text. */
export function selectorOption(): Option {
  return new Option('-l, --selector <labels>', 'only objects with these labels').argParser((text) => {
    const read = parseLabelSelector(text);
    if (!read.ok) throw new InvalidArgumentError(read.problem);
    return text;
  });
}
