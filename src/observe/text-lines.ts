/** Renders lines of the log for people: time, level, message, and the other fields as key=value. */
import { escapeControls } from '../object/text.ts';

/** Of a line of JSON as pino writes it. A line that is no JSON object is returned as it is. */
export function renderTextLine(json: string): string {
  const fields = parseLine(json);
  if (!fields) return json;
  const { time, level, msg, name, err, ...others } = fields;
  const { message = err, stack } = isFields(err) ? err : {};
  // Every line has the name of the program, unless the event has a name.
  const values = {
    ...(name !== 'regkeeper' && { name }),
    ...others,
    ...(message !== undefined && !repeats(msg, message) && { err: message }),
  };
  const head = [String(time), String(level).toUpperCase().padEnd(5), escapeControls(String(msg ?? ''))].join(' ');
  const pairs = Object.entries(values).map(([key, value]) => ` ${escapeControls(key)}=${renderValue(value)}`);
  // The first line of a stack is the message.
  const trace = typeof stack === 'string' ? stack.split('\n').slice(1) : [];
  return `${head}${pairs.join('')}\n${trace.map((line) => `    ${escapeControls(line.trim())}\n`).join('')}`;
}

/** Most messages contain the error already, with what to do. */
function repeats(msg: unknown, error: unknown): boolean {
  return typeof msg === 'string' && typeof error === 'string' && msg.includes(error);
}

type Fields = Readonly<Record<string, unknown>>;

function parseLine(json: string): Fields | undefined {
  try {
    const value: unknown = JSON.parse(json);
    return isFields(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function renderValue(value: unknown): string {
  const isPlain = typeof value === 'string' && /^[^\s"=]+$/.test(value);
  return escapeControls(isPlain ? value : (JSON.stringify(value) ?? ''));
}
