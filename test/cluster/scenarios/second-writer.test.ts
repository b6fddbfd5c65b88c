/** Other controllers also write the webhook configurations: regkeeper repairs them quickly, without an endless conflict. */
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { issueCa } from '../../../src/certificates/issue.ts';
import type { ApiClient } from '../../../src/kube/api-client.ts';
import { connectApi } from '../../../src/kube/client/connect-api.ts';
import { loadKubeConfig } from '../../../src/kube/kubeconfig.ts';
import { startHonestRequests } from '../honest-requests.ts';
import { times } from '../length.ts';
import { type OtherWriter, startCaInjector, startEnforcer, startNarrower, type WebhookConfiguration } from '../other-writers.ts';
import { target, waitFor } from '../target.ts';
import { admits, changeConfiguration, entriesOf, generationsOf, paths, repairedAtOnce, timeRepair } from '../webhook-configurations.ts';
import { withRegkeeper } from '../with-regkeeper.ts';

const cluster = target();
const { kubeconfig } = cluster;
const rules = 'mode: enforce\nunconfigured: deny\nrules:\n- {registry: good.example.com}\n';
const untrusted = 'unknown.example.com/x';
const trusted = 'good.example.com/app';
/** How long a conflict with another writer is observed, in seconds. Figures are printed per minute. */
const watched = Number(process.env.FIGHT_SECONDS ?? 30);

let admin: ApiClient;
let writer: OtherWriter | undefined;

beforeAll(async () => {
  admin = connectApi(await loadKubeConfig({ file: kubeconfig, env: {} }));
});
afterAll(async () => await admin.close());
afterEach(async () => {
  await writer?.stop();
  writer = undefined;
});

describe.runIf(cluster.local)('next to regkeeper', () => {
  const keeper = withRegkeeper(cluster, rules);
  const warnings = (since: number) =>
    keeper.server
      ?.log()
      .slice(since)
      .filter(({ level }) => level === 'warn' || level === 'error') ?? [];
  const logged = () => keeper.server?.log().length ?? 0;

  /** Waits for a second without a write, which shows that the changes of an earlier writer have been repaired. */
  async function settled(): Promise<void> {
    let before = await generationsOf(admin);
    await waitFor(
      async () => {
        await pause(1_000);
        const now = await generationsOf(admin);
        const same = now === before;
        before = now;
        return same;
      },
      { deadlineSeconds: 60, what: 'the configurations to stay as they are' },
    );
  }

  /** Runs another writer for a while. Returns the generations, log lines and warnings that it caused. */
  async function fight(start: () => Promise<OtherWriter>) {
    await settled();
    const [lines, generations] = [logged(), await generationsOf(admin)];
    writer = await start();
    const since = performance.now();
    await pause(watched * 1_000);
    const minutes = (performance.now() - since) / 60_000;
    const figures = {
      generations: (await generationsOf(admin)) - generations,
      lines: logged() - lines,
      warnings: warnings(lines).map(({ msg }) => String(msg)),
    };
    const byMinute = (count: number) => Math.round(count / minutes);
    console.info(
      `${watched} s: ${figures.generations} generations (${byMinute(figures.generations)}/min), ` +
        `${figures.lines} log lines (${byMinute(figures.lines)}/min), the other wrote ${writer.writes()} times`,
    );
    for (const message of figures.warnings) console.info(`  ${message}`);
    return figures;
  }

  test.each<[string, (live: WebhookConfiguration) => void]>([
    ['emptied', empty],
    [
      'without pods.validate',
      (live) => {
        live.webhooks = live.webhooks?.filter(({ name }) => !name.startsWith('pods.')) ?? [];
      },
    ],
    ['set to Ignore', eachEntry({ failurePolicy: 'Ignore' })],
    [
      'with a condition that never matches',
      ({ webhooks = [] }) => {
        for (const each of webhooks)
          each.matchConditions = [...((each.matchConditions ?? []) as object[]), { name: 'never', expression: 'false' }];
      },
    ],
    ['with a different URL', eachEntry({ clientConfig: { url: 'https://127.0.0.1:9/elsewhere' } })],
    ['with an objectSelector', eachEntry({ objectSelector: { matchLabels: { checked: 'yes' } } })],
    [
      'with rules for another kind',
      eachEntry({ rules: [{ apiGroups: ['x.io'], apiVersions: ['v1'], operations: ['CREATE'], resources: ['x'], scope: 'Namespaced' }] }),
    ],
  ])('%s by PUT, the configurations are repaired immediately', async (what, change) => {
    // At 10 a second the number of failed requests below is bounded by the time until the repair.
    const perSecond = what === 'with a different URL' ? 10 : 20;
    const honest = await startHonestRequests({ kubeconfig, namespace: await cluster.namespace(), image: trusted, perSecond });
    const before = await Promise.all(Object.values(paths).map((path) => entriesOf(admin, path)));
    const repair = await timeRepair({
      breakIt: async () => void (await Promise.all(Object.values(paths).map((path) => changeConfiguration(admin, path, change)))),
      isRepaired: async () => {
        const now = await Promise.all(Object.values(paths).map((path) => entriesOf(admin, path)));
        return JSON.stringify(now.map(withoutOrder)) === JSON.stringify(before.map(withoutOrder));
      },
      tryPod: () => admits(admin, keeper.namespace, untrusted),
    });
    await honest.atLeast(times(80, 200));
    const result = await honest.stop();
    console.info(
      `${what}: repaired after ${repair.milliseconds} ms, ${repair.admitted} of ${repair.tried} untrusted Pods admitted; ${result.summary}`,
    );
    expect(repair).toSatisfy(repairedAtOnce);
    // While the entries point elsewhere, webhook calls fail. So a Pod in these milliseconds is denied, and none is admitted unchecked.
    if (what === 'with a different URL') expect(result.failed.length).toBeLessThanOrEqual(10);
    else expect(result.failed).toEqual([]);
    // Latencies are printed, not asserted, because they depend on the machine. A request that exceeds the webhook's timeout fails.
    expect(await admits(admin, keeper.namespace, untrusted)).toBe(false);
  });

  describe('a CA injector', () => {
    const foreign = () => {
      const [notBefore, notAfter] = [new Date(Date.now() - 60_000), new Date(Date.now() + 3_600_000)];
      return Buffer.from(issueCa({ commonName: 'other', notBefore, notAfter }).certificate).toString('base64');
    };
    const annotate = () =>
      Promise.all(
        Object.values(paths).map((path) =>
          changeConfiguration(admin, path, ({ metadata }) => {
            metadata.annotations = { ...metadata.annotations, 'cert-manager.io/inject-ca-from': 'x/y' };
          }),
        ),
      );
    async function admittedOf24() {
      let admitted = 0;
      for (let index = 0; index < 24; index += 1) {
        await pause(1_000);
        if (await admits(admin, keeper.namespace, trusted)) admitted += 1;
      }
      return admitted;
    }

    test('with an annotation on the configurations: the annotation is removed, with one warning for each', async () => {
      const lines = logged();
      writer = await startCaInjector(kubeconfig, foreign());
      await annotate();
      const admitted = await admittedOf24();
      console.info(`with an annotated injector ${admitted} of 24 Pods admitted, it wrote ${writer.writes()} times`);
      for (const { msg } of warnings(lines)) console.info(`  ${msg}`);
      // The first Pod may be denied because of the injected CA.
      expect(admitted).toBeGreaterThanOrEqual(23);
      // Where the configuration was repaired a moment ago, this is the warning about a repeated change.
      const kinds = warnings(lines).flatMap(({ msg, kind }) => (String(msg).includes('cert-manager.io/inject-ca-from') ? [kind] : []));
      expect(kinds.sort()).toEqual(['MutatingWebhookConfiguration', 'ValidatingWebhookConfiguration']);
    });

    test('a CA injector without an annotation is reverted each time, at most four times a second', async () => {
      const [lines, generations] = [logged(), await generationsOf(admin)];
      const since = performance.now();
      writer = await startCaInjector(kubeconfig, foreign(), { always: true });
      const admitted = await admittedOf24();
      const seconds = (performance.now() - since) / 1_000;
      const written = (await generationsOf(admin)) - generations;
      console.info(
        `with an injector that never rests ${admitted} of 24 Pods admitted, ${Math.round(written / seconds)} generations/s, ${logged() - lines} log lines`,
      );
      // Four repairs a second, two configurations, two writers, and a margin for a slow machine.
      expect(written / seconds).toBeLessThan(17);
      expect(logged() - lines).toBeLessThanOrEqual(4);
    });
  });

  test(
    "AKS' enforcer keeps its two requirements, without a conflict",
    async () => {
      const { generations, lines } = await fight(() => startEnforcer(kubeconfig));
      // The enforcer writes each configuration once.
      expect(generations).toBe(2);
      expect(lines).toBe(0);
      const [entry] = await entriesOf(admin, paths.validating);
      expect(entry?.namespaceSelector?.matchExpressions?.map(({ key }) => key)).toEqual(
        expect.arrayContaining(['kubernetes.io/metadata.name', 'control-plane', 'kubernetes.azure.com/managedby']),
      );
      expect(await admits(admin, keeper.namespace, untrusted)).toBe(false);

      // A repair keeps the enforcer's requirements, so the enforcer does not write again.
      const before = writer?.writes();
      await changeConfiguration(admin, paths.validating, ({ webhooks = [] }) => {
        for (const webhook of webhooks) webhook.failurePolicy = 'Ignore';
      });
      await waitFor(async () => (await entriesOf(admin, paths.validating)).some(({ failurePolicy }) => failurePolicy === 'Fail'), {
        deadlineSeconds: 60,
        what: 'the repair',
      });
      await pause(1_000);
      expect(writer?.writes()).toBe(before);
    },
    (watched + 60) * 1_000,
  );

  // Must be the last tests, because their changes are only repaired after a pause.
  test(
    'another writer that narrows is reverted with increasing pauses, and two warnings that show what to do',
    async () => {
      const { generations, lines, warnings: said } = await fight(() => startNarrower(kubeconfig));
      expect(generations).toBeLessThanOrEqual(2 * 8);
      // For each configuration one line about the change and one about the repeated change.
      expect(lines).toBeLessThanOrEqual(4);
      expect(
        said.every((message) => /^(?:restored the .* after a change by narrower |the .* is repeatedly changed by narrower )/.test(message)),
      ).toBe(true);
      expect(said.join('\n')).toContain('set --namespace-selector');
      const text = await (await fetch(`http://localhost:${keeper.server?.healthPort}/readyz`)).text();
      expect(text).toContain('[!] cluster: another writer keeps narrowing');
    },
    (watched + 60) * 1_000,
  );

  test('weakening changes in between are still reverted immediately', async () => {
    writer = await startNarrower(kubeconfig);
    const repair = await timeRepair({
      breakIt: () => changeConfiguration(admin, paths.validating, empty),
      isRepaired: async () => (await entriesOf(admin, paths.validating)).length > 1,
      tryPod: () => admits(admin, keeper.namespace, untrusted),
    });
    console.info(`emptied in a fight: repaired after ${repair.milliseconds} ms`);
    expect(repair).toSatisfy(repairedAtOnce);
  });
});

describe.runIf(cluster.local)('with --admissions-enforcer disable', () => {
  withRegkeeper(cluster, rules, { flags: ['--admissions-enforcer', 'disable'] });

  test('the configurations have the opt-out as label and annotation, and the enforcer leaves them alone', async () => {
    for (const path of Object.values(paths)) {
      const { metadata } = await admin.get<WebhookConfiguration>(path);
      expect(metadata).toMatchObject({
        labels: { 'admissions.enforcer/disabled': 'true' },
        annotations: { 'admissions.enforcer/disabled': 'true' },
      });
    }
    const before = await generationsOf(admin);
    writer = await startEnforcer(kubeconfig);
    await pause(3_000);
    expect(writer.writes()).toBe(0);
    expect(await generationsOf(admin)).toBe(before);
  });
});

function empty(live: WebhookConfiguration): void {
  live.webhooks = [];
}

function eachEntry(change: object): (live: WebhookConfiguration) => void {
  return ({ webhooks = [] }) => {
    for (const each of webhooks) Object.assign(each, change);
  };
}

function withoutOrder(entries: readonly { name: string }[]): object[] {
  return [...entries].sort((one, other) => one.name.localeCompare(other.name));
}
