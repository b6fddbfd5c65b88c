/** The log and the audit records. They open first and close last, after everything that waits has been written. */
import { dirname } from 'node:path';
import { isatty } from 'node:tty';
import type { Component } from '../../contracts/component.ts';
import { errorCode, errorMessage } from '../../errors/error-message.ts';
import { countOf } from '../../image/wording.ts';
import {
  type AuditLog,
  createAuditLog,
  createLogger,
  type Delivery,
  type DestinationOptions,
  type LogDestination,
  type LogFormat,
  openDestination,
} from '../../observe/logger.ts';
import { ConfigurationError } from '../../settings/configuration-error.ts';
import type { Settings } from '../settings.ts';

export type Logger = ReturnType<typeof createLogger>;

export type OutputSettings = Pick<Settings, 'dev' | 'cluster' | 'auditLog' | 'logLevel' | 'logFormat' | 'nameOf'>;

export type Outputs = Component & {
  readonly log: Logger;
  readonly auditLog: AuditLog;
  readonly auditDelivery: () => Delivery;
  /** With --dev and without a cluster, the lines of the start are held until this call, so that they follow the welcome text. */
  release(): void;
};

/** At a thousand requests per second, a write for ten records costs a tenth of ten writes. Most readers of records poll less often. */
const gatherMilliseconds = 10;

/** Each of the two destinations gets three seconds to flush. */
const flushMilliseconds = 6_500;

/** An audit record that cannot be written blocks no request. The log, a metric and an alert report the loss. */
export function createOutputs(settings: OutputSettings): Outputs {
  const isHeld = settings.dev && !settings.cluster;
  const logLines = createDeferredDestination(isHeld);
  const records = createDeferredDestination(isHeld);
  const log = createLogger(settings.logLevel, logLines.stream, settings.logFormat ?? (isatty(2) ? 'text' : 'json'));
  const release = () => {
    logLines.release();
    records.release();
  };
  const destination = settings.auditLog === '-' ? 'standard output' : settings.auditLog;
  return {
    name: 'outputs',
    log,
    auditLog: createAuditLog(records.stream, auditFormatOf(settings)),
    release,
    auditDelivery: () => records.opened()?.delivery() ?? { failing: false, lost: 0, waiting: 0 },
    start() {
      logLines.use(openDestination(2, { onRecovered: (lost) => reportLostLines(log, lost) }));
      records.use(openAuditDestination(settings, reportDelivery(log, destination)));
    },
    stopWithinMilliseconds: flushMilliseconds,
    async stop() {
      release();
      await records.opened()?.flush();
      reportUnwritten(log, destination, records.opened()?.delivery().waiting ?? 0);
      await logLines.opened()?.flush();
    },
  };
}

/** Audit records are JSON, except on the terminal of a developer. */
function auditFormatOf({ dev, auditLog, logFormat }: OutputSettings): LogFormat {
  if (!dev || auditLog !== '-') return 'json';
  return logFormat ?? (isatty(1) ? 'text' : 'json');
}

/** The stream that pino gets before its file is open. Nothing is logged until then. */
function createDeferredDestination(isHeld: boolean) {
  let destination: LogDestination | undefined;
  let held: string[] | undefined = isHeld ? [] : undefined;
  return {
    stream: { write: (line: string) => void (held ? held.push(line) : destination?.write(line)) },
    release() {
      const lines = held ?? [];
      held = undefined;
      for (const line of lines) destination?.write(line);
    },
    opened: () => destination,
    use(opened: LogDestination) {
      destination = opened;
    },
  };
}

function openAuditDestination({ auditLog, nameOf }: Pick<Settings, 'auditLog' | 'nameOf'>, options: DestinationOptions): LogDestination {
  try {
    return openDestination(auditLog === '-' ? 1 : auditLog, { ...options, gatherMilliseconds });
  } catch (error) {
    const reason = errorCode(error) === 'ENOENT' ? `the directory ${dirname(auditLog)} does not exist. Create it` : errorMessage(error);
    throw new ConfigurationError(`${nameOf('auditLog')} ${auditLog}: ${reason}`);
  }
}

/** Reports the audit records that still wait when the server ends. */
export function reportUnwritten(log: Logger, place: string, lost: number): void {
  const [records, are] = lost === 1 ? ['audit record', 'is'] : [`${lost} audit records`, 'are'];
  if (lost > 0) log.error({ file: place, lost }, `the last ${records} could not be written to ${place} and ${are} lost`);
}

export function reportLostLines(log: Logger, lost: number): void {
  const lines = countOf(lost, 'line of this log was lost because it', 'lines of this log were lost because they');
  if (lost > 0) log.error({ lost }, `${lines} could not be written`);
}

export function reportDelivery(log: Logger, place: string): DestinationOptions {
  return {
    onFailing: (reason) =>
      log.error({ file: place }, `cannot write audit records to ${place}: ${reason}. Requests are still being served. Retrying`),
    onRecovered: (lost) => {
      const recovered = `audit records are being written to ${place} again`;
      if (lost > 0) log.error({ file: place, lost }, `${recovered}. ${countOf(lost, 'record was', 'records were')} lost`);
      else log.info({ file: place, lost }, `${recovered}. No records were lost`);
    },
  };
}
