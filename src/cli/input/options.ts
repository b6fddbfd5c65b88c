/** Options that several commands have. */
import { InvalidArgumentError, Option } from 'commander';
import { parseDay } from '../../evaluate/parse-day.ts';
import { dnsLabel } from '../../rules/language/label-grammar.ts';
import { parseLabelSelector } from '../../rules/language/label-selector.ts';

export function rulesOption(description = 'load rules from files or directories'): Option {
  return new Option('--rules <paths...>', description);
}

export function manifestsOption(): Option {
  return new Option('-f, --filename <paths...>', 'read manifests from files, directories or - (standard input)');
}

export function namespaceOption(description = 'set the namespace for objects that have none'): Option {
  return new Option('-n, --namespace <name>', description).argParser(parseNamespace);
}

function parseNamespace(text: string): string {
  if (!new RegExp(dnsLabel).test(text)) throw new InvalidArgumentError('Use at most 63 lower-case letters, digits and hyphens.');
  return text;
}

export function userOption(): Option {
  return new Option('--user <name>', 'set the user who creates the objects').default('developer');
}

export function assumeCompleteOption(): Option {
  return new Option('--assume-complete', 'treat secrets and service accounts not in files as missing');
}

export function quietOption(description = 'print only findings'): Option {
  return new Option('-q, --quiet', description);
}

/** The day for which exemptions and ends of rules are evaluated. Its value is noon in UTC, in milliseconds since 1970. */
export function dateOption(): Option {
  return new Option('--date <date>', 'evaluate the rules as of this date, YYYY-MM-DD (default: today, UTC)').argParser((text) => {
    const time = parseDay(text);
    if (time === undefined) throw new InvalidArgumentError('Use YYYY-MM-DD, such as 2027-03-31.');
    return time;
  });
}

/** Skips what `check` and `diff` report as `unknown-kind`. */
export function skipUnknownOption(): Option {
  return new Option('--skip-unknown', 'skip unknown kinds that may contain images, and do not fail');
}

/** The options for a cluster begin with `when`, if they have an effect only with another option. */
export function kubeconfigOption(when = ''): Option {
  return new Option('--kubeconfig <file>', `${when}use this kubeconfig (default: KUBECONFIG, else ~/.kube/config)`);
}

export function contextOption(when = ''): Option {
  return new Option('--context <name>', `${when}use this kubeconfig context (default: the current context)`);
}

export function regkeeperNamespaceOption(when = ''): Option {
  return new Option('--regkeeper-namespace <name>', `${when}set regkeeper's namespace`).default('regkeeper').argParser(parseNamespace);
}

export function allNamespacesOption(when = ''): Option {
  return new Option('-A, --all-namespaces', `${when}read objects in all namespaces (the default)`).conflicts('namespace');
}

/** As in `kubectl get -l`. The value is the text. */
export function selectorOption(when = ''): Option {
  return new Option('-l, --selector <labels>', `${when}read only objects with these labels`).argParser((text) => {
    const read = parseLabelSelector(text);
    if (!read.ok) throw new InvalidArgumentError(read.problem);
    return text;
  });
}
