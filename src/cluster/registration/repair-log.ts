/** Logs what other writers did to the webhook configurations: each writer once, and once more if it continues. */
import type { Log } from '../../contracts/log.ts';
import { type Difference, enforcerRequirements, injectAnnotations } from './configuration-difference.ts';
import { ourName } from './live-configuration.ts';

export type Repair = {
  /** The kind of the configuration. */
  readonly kind: string;
  readonly difference: Difference;
  /** Field managers that made the difference. Empty where they are unknown. */
  readonly managers: readonly string[];
  /** Milliseconds until the next repair of this severity. 0 if it is not delayed. */
  readonly pause: number;
};

export type RepairLog = { repaired(repair: Repair): void };

/** After this time without a repair, a writer is reported again. */
const forgetAfter = 30 * 60_000;
/** A writer that never stops is reported again after this time, with the count. */
const repeatAfter = 6 * 60 * 60_000;

/** `clock` returns monotonic milliseconds. */
export function createRepairLog(log: Log, clock: () => number): RepairLog {
  const known = new Map<string, { count: number; last: number; reported: number }>();
  return {
    repaired({ kind, difference, managers, pause }) {
      const who = nameWriters(managers);
      const key = `${kind} ${difference.severity} ${who}`;
      const now = clock();
      for (const [each, { last }] of known) if (now - last > forgetAfter) known.delete(each);
      const seen = known.get(key) ?? { count: 0, last: now, reported: now };
      seen.count += 1;
      seen.last = now;
      known.set(key, seen);
      const fields = { kind, managers, changed: difference.fields, count: seen.count };
      const [what, changed] = [`the ${kind} ${ourName}`, brief(difference.fields)];
      if (seen.count === 1) log.warn(fields, `restored ${what} after a change by ${who} (${changed})${hint(difference)}`);
      else if (seen.count === 2 || now - seen.reported > repeatAfter) {
        seen.reported = now;
        log.warn(fields, `${what} is repeatedly changed by ${who} (${changed}). ${outlook(difference, pause)}. ${remedy(difference, who)}`);
      } else log.debug(fields, `restored ${what} after another change by ${who} (${changed})`);
    },
  };
}

/** Our own field manager owns the rest of a field that another one changed, so it is named only if it is the only one. */
function nameWriters(managers: readonly string[]): string {
  const others = managers.filter((manager) => manager !== ourName);
  return (others.length > 0 ? others : managers).join(' and ') || 'an unknown writer';
}

function brief(fields: readonly string[]): string {
  const rest = fields.length - 3;
  return `${fields.slice(0, 3).join(', ')}${rest > 0 ? `, and ${rest} more` : ''}`;
}

function outlook({ severity }: Difference, pause: number): string {
  if (severity === 'weakened') return 'Each change is reverted immediately. A reminder is logged every 6 h';
  return `Changes are now reverted with increasing delays (next: ${Math.round(pause / 1_000)} s, maximum: 10 min)`;
}

function hint({ fields }: Difference): string {
  const annotation = injectAnnotations.find((name) => fields.some((field) => field.endsWith(name)));
  if (annotation === undefined) return '';
  return `. The annotation ${annotation} was removed because regkeeper writes caBundle itself. Remove it at its source`;
}

function remedy(difference: Difference, who: string): string {
  const { fields, severity } = difference;
  if (hint(difference) !== '') return `Remove the annotation at its source, or stop ${who}`;
  if (severity === 'narrowed' && fields.some((field) => field.startsWith('metadata.'))) {
    return `Configure ${who} to ignore the labels and annotations of the configuration, or set --admissions-enforcer tolerate`;
  }
  if (severity === 'narrowed' && who.includes('admissionsenforcer')) {
    return `Set --admissions-enforcer tolerate, which accepts ${enforcerRequirements.map(({ key }) => key).join(' and ')}`;
  }
  if (severity === 'narrowed') return `If the webhooks should match fewer requests, set --namespace-selector. Otherwise stop ${who}`;
  return `Stop ${who}, or have it ignore the fields that the field manager ${ourName} owns`;
}
