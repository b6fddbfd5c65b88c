/** What is delivered at this moment: the secrets in the rules, as far as this account is permitted to deliver them. */
import type { ImmediateComponent } from '../../contracts/component.ts';
import type { Log } from '../../contracts/log.ts';
import { errorMessage } from '../../errors/error-message.ts';
import { type ApiClient, boundTo } from '../../kube/api-client.ts';
import { createReconcileLoop } from '../../kube/reconcile-loop.ts';
import type { DeliveredSecret, RuleSet } from '../../rules/rule-set.ts';
import type { Clock } from '../../time/clock.ts';
import { reviewPermissions, type SecretPermissions } from './permissions.ts';

export type DeliveryScope = ImmediateComponent & {
  /** Undefined until the rules and the permissions are known. */
  current(): Scope | undefined;
  /** The rules have changed. */
  rulesChanged(): void;
  /** Names in the rules that this account may not deliver. */
  notPermitted(): readonly string[];
};

export type Scope = {
  /** Names of copies to watch. Includes names that the rules no longer contain, whose copies are to be deleted. */
  readonly copies: readonly string[];
  /** Names of sources to watch. */
  readonly sources: readonly string[];
  /** Names of secrets for which a need matters. */
  readonly needed: readonly string[];
  mayReadSource(name: string): boolean;
};

export type DeliveryScopeOptions = {
  readonly client: ApiClient;
  readonly namespace: string;
  readonly rules: () => RuleSet | undefined;
  readonly onChange: (scope: Scope) => void;
  readonly log: Log;
  readonly clock?: Clock | undefined;
};

export function createDeliveryScope({ client, namespace, rules, onChange, log, clock }: DeliveryScopeOptions): DeliveryScope {
  let permissions: SecretPermissions | undefined;
  let scope: Scope | undefined;
  let text: string | undefined;
  let lacking: readonly string[] = [];
  let reported = '';
  let lastFailure: string | undefined;

  const loop = createReconcileLoop({
    async reconcile(signal) {
      permissions = await reviewPermissions(boundTo(signal, client), namespace, signal);
      lastFailure = undefined;
      update();
    },
    onFailure(error) {
      const message = errorMessage(error);
      if (message !== lastFailure) log.warn({ err: error }, `cannot check the permission to deliver secrets: ${message}. Retrying`);
      lastFailure = message;
    },
    resyncMilliseconds: 60_000,
    minIntervalMilliseconds: 1_000,
    clock,
  });

  function update(): void {
    const ruleSet = rules();
    if (!permissions || !ruleSet) return;
    const next = scopeOf(ruleSet.deliveredSecrets, permissions, scope?.copies ?? []);
    lacking = ruleSet.deliveredSecrets.map(({ name }) => name).filter((name) => !next.copies.includes(name));
    reportLacking();
    const nextText = JSON.stringify([
      next.copies,
      next.sources,
      next.needed,
      permissions.sources === 'all' ? [] : [...permissions.sources],
    ]);
    if (nextText === text) return;
    text = nextText;
    scope = next;
    onChange(next);
  }

  function reportLacking(): void {
    const names = lacking.join(', ');
    if (names !== reported && names !== '') {
      log.error({ secrets: lacking }, `no permission to deliver the secrets ${names}. Apply the output of "regkeeper rbac --deliver"`);
    }
    reported = names;
  }

  return {
    name: 'delivery scope',
    current: () => scope,
    rulesChanged() {
      update();
      // Rules and permissions are often changed together.
      loop.requeue();
    },
    notPermitted: () => lacking,
    start() {
      loop.requeue();
      loop.start();
    },
    stop: loop.stop,
  };
}

function scopeOf(secrets: readonly DeliveredSecret[], permissions: SecretPermissions, before: readonly string[]): Scope {
  const named = secrets.map(({ name }) => name);
  const { copies, sources } = permissions;
  const mayDeliver = (name: string) => copies === 'all' || copies.has(name);
  const mayReadSource = (name: string) => sources === 'all' || sources.has(name);
  const delivered = secrets.filter(({ name }) => mayDeliver(name));
  return {
    // Without a limit to names, only this process knows what it has delivered.
    copies: [...new Set(copies === 'all' ? [...named, ...before] : copies)].sort(),
    sources: [...new Set(delivered.map(({ source }) => source))].filter(mayReadSource).sort(),
    needed: delivered.filter(({ deliver }) => deliver === 'onDemand').map(({ name }) => name),
    mayReadSource,
  };
}
