/**
 * Splits the text of a Dockerfile into instructions, as the build tools do: openshift/imagebuilder (dockerfile/parser), which buildah and
 * OpenShift's builds use, and moby/buildkit (frontend/dockerfile/parser).
 *
 * The tools do not always agree. An image that one tool would pull must not be hidden in text that another tool reads as a comment, a
 * continuation or a here-document. So every way to read the text that makes a difference is a separate reading.
 */

export type Instruction = {
  /** In upper case. */
  readonly keyword: string;
  /** Such as `--from=x`, without quotes and escapes. */
  readonly flags: readonly string[];
  /** The text after the flags, on one line. */
  readonly rest: string;
  /** 1-based. */
  readonly line: number;
};

export type Reading = {
  readonly escapeCharacter: string;
  readonly instructions: readonly Instruction[];
};

/**
 * Yields every reading that some tool could build from. If no tool could build from any, it yields all readings. Each one takes time linear
 * in the text, and is computed only when the caller needs it.
 */
export function* readInstructions(text: string): Generator<Reading> {
  const lines = (text.startsWith('\ufeff') ? text.slice(1) : text).split('\n');
  const split = splitOnce();
  const impossible: Reading[] = [];
  const known: Reading[] = [];
  let any = false;
  for (const dialect of dialectsOf(lines)) {
    const reading = readAs(dialect, lines, split);
    if (!reading.possible) impossible.push(reading);
    else if (isNew(reading, known)) {
      any = true;
      yield* withRewritten(reading);
    }
  }
  if (any) return;
  for (const reading of impossible) if (isNew(reading, known)) yield* withRewritten(reading);
}

/** Instructions with the same text and line are the same object, so that identity is enough. */
function isNew(reading: Reading, known: Reading[]): boolean {
  const isSame = ({ escapeCharacter, instructions }: Reading) =>
    escapeCharacter === reading.escapeCharacter &&
    instructions.length === reading.instructions.length &&
    instructions.every((instruction, index) => instruction === reading.instructions[index]);
  if (known.some(isSame)) return false;
  known.push(reading);
  return true;
}

type Split = (text: string, line: number) => Instruction;

/** Readings share most of their lines, and many files repeat lines, so each text is split once. */
function splitOnce(): Split {
  const parts = new Map<string, Omit<Instruction, 'line'>>();
  // By line, then by text: readings may end an instruction at different lines.
  const made = new Map<number, Map<string, Instruction>>();
  return (text, line) => {
    const here = made.get(line) ?? new Map<string, Instruction>();
    made.set(line, here);
    const before = here.get(text);
    if (before) return before;
    const known = parts.get(text) ?? splitInstruction(text);
    parts.set(text, known);
    const { keyword, flags, rest } = known;
    const instruction = { keyword, flags, rest, line };
    here.set(text, instruction);
    return instruction;
  };
}

function* withRewritten(reading: Reading): Generator<Reading> {
  yield reading;
  yield* rewritten(reading);
}

/**
 * The reading of the Dockerfile that OpenShift's builder writes for buildah, if it differs. The builder writes flags without quotes and
 * escapes, and without a `--` that ends them. So one flag, or none, can become several when buildah reads it (openshift/builder
 * pkg/build/builder/util/dockerfile, Write). Ordinary files do not change.
 */
function rewritten({ escapeCharacter, instructions }: Reading): readonly Reading[] {
  let changed = false;
  const rewrittenInstructions = instructions.map((instruction) => {
    const again = writeAgain(instruction);
    changed ||= again !== instruction;
    return again;
  });
  return changed ? [{ escapeCharacter, instructions: rewrittenInstructions }] : [];
}

function writeAgain(instruction: Instruction): Instruction {
  const { keyword, flags, rest, line } = instruction;
  const trigger = triggerOf(instruction);
  if (trigger) {
    const again = writeAgain(trigger);
    return again === trigger ? instruction : { ...instruction, rest: writeOut(again) };
  }
  // Flags stay as they are unless they contain white space, quotes or escapes. A rest that begins with `--` comes after a `--` that ended
  // the flags.
  if (!flags.some((flag) => /[\s"'\\]/.test(flag)) && !rest.startsWith('--')) return instruction;
  return { ...splitInstruction(writeOut({ keyword, flags, rest })), line };
}

function writeOut({ keyword, flags, rest }: Pick<Instruction, 'keyword' | 'flags' | 'rest'>): string {
  return [keyword, ...flags, rest].join(' ');
}

type Dialect = {
  readonly escapeCharacter: string;
  /** Whether a line that ends in two escape characters continues. In imagebuilder it does. In BuildKit since 2021 the second is escaped. */
  readonly doubledContinues: boolean;
  /** `none`: BuildKit before 2021, imagebuilder before 2024. `all`: also those that only some versions of a tool recognize. */
  readonly heredocs: 'none' | 'sure' | 'all';
};

function dialectsOf(lines: readonly string[]): readonly Dialect[] {
  const doubled = lines.some(mayBeDoubled) ? [true, false] : [true];
  const heredocs: readonly Dialect['heredocs'][] = lines.some((line) => line.includes('<<')) ? ['sure', 'none', 'all'] : ['none'];
  return escapeCharacters(lines).flatMap((escapeCharacter) =>
    doubled.flatMap((doubledContinues) => heredocs.map((each) => ({ escapeCharacter, doubledContinues, heredocs: each }))),
  );
}

/** Whether the tools may disagree about a continuation: two escape characters, or several carriage returns, which not all tools strip. */
function mayBeDoubled(line: string): boolean {
  const end = endWithout(line, ' \t\r');
  const last = line.charAt(end - 1);
  return (last === '\\' || last === '`') && (line.charAt(end - 2) === last || line.endsWith('\r\r') || line.includes('\r ', end));
}

/** `# escape=X` on the first line is valid for all tools. After another directive, or with text after it, only some tools accept it. */
function escapeCharacters(lines: readonly string[]): readonly string[] {
  for (const [index, line] of lines.entries()) {
    const comment = trimStart(line);
    const equals = comment.indexOf('=');
    const name = comment.slice(1, equals).trim();
    const value = comment.slice(equals + 1).trim();
    if (!comment.startsWith('#') || equals < 0 || value === '' || !/^[a-zA-Z][a-zA-Z0-9]*$/.test(name)) break;
    if (name.toLowerCase() !== 'escape') continue;
    if (!value.startsWith('`')) break;
    // Not all tools read it so.
    return index > 0 || value !== '`' ? ['`', '\\'] : ['`'];
  }
  return ['\\'];
}

const keywords = new Set(
  'ADD ARG CMD COPY ENTRYPOINT ENV EXPOSE FROM HEALTHCHECK LABEL MAINTAINER ONBUILD RUN SHELL STOPSIGNAL USER VOLUME WORKDIR'.split(' '),
);
const mayHaveHeredocs = new Set(['ADD', 'COPY', 'RUN']);

type Attempt = Reading & {
  /** Whether the tool could parse the text to its end. */
  readonly possible: boolean;
};

function readAs(dialect: Dialect, lines: readonly string[], split: Split): Attempt {
  const instructions: Instruction[] = [];
  let possible = true;
  let at = 0;
  while (at < lines.length) {
    const line = at + 1;
    let [text, continues] = withoutContinuation(withoutComment(trimStart(lines[at++] ?? '')), dialect);
    if (!continues && text === '') continue;
    const parts = [text];
    while (continues && at < lines.length) {
      const next = lines[at++] ?? '';
      // Comments and empty lines do not end a continuation.
      if (withoutComment(trimStart(next)).trim() === '') continue;
      [text, continues] = withoutContinuation(next, dialect);
      parts.push(text);
    }
    const instruction = split(parts.length === 1 ? text : parts.join(''), line);
    instructions.push(instruction);
    if (!keywords.has(instruction.keyword)) possible &&= dialect.heredocs !== 'none';
    if (dialect.heredocs === 'none') continue;
    for (const { name, tabs } of heredocsOf(instruction, parts.join(''), dialect)) {
      let ended = false;
      while (at < lines.length && !ended) ended = endsHeredoc(lines[at++] ?? '', name, tabs);
      possible &&= ended;
    }
  }
  return { escapeCharacter: dialect.escapeCharacter, instructions, possible };
}

function withoutComment(line: string): string {
  return line.startsWith('#') ? '' : line;
}

function withoutContinuation(line: string, { escapeCharacter, doubledContinues }: Dialect): [text: string, continues: boolean] {
  const text = line.slice(0, endWithout(line, '\r'));
  const end = doubledContinues ? endWithout(line, ' \t\r') : endWithout(line.endsWith('\r') ? line.slice(0, -1) : line, ' \t');
  const continues = line.charAt(end - 1) === escapeCharacter && (doubledContinues || line.charAt(end - 2) !== escapeCharacter);
  return continues ? [line.slice(0, end - 1), true] : [text, false];
}

function endsHeredoc(line: string, name: string, tabs: boolean): boolean {
  let start = 0;
  while (tabs && line.charAt(start) === '\t') start++;
  return line.slice(start, endWithout(line, '\r')) === name;
}

/** The length of the text without these characters at its end. Not a regular expression, which would take quadratic time. */
function endWithout(text: string, characters: string): number {
  let end = text.length;
  while (end > 0 && characters.includes(text.charAt(end - 1))) end--;
  return end;
}

function trimStart(text: string): string {
  let start = 0;
  while (start < text.length && isSpace(text.charAt(start))) start++;
  return text.slice(start);
}

function trimEnds(text: string): string {
  const trimmed = trimStart(text);
  let end = trimmed.length;
  while (end > 0 && isSpace(trimmed.charAt(end - 1))) end--;
  return trimmed.slice(0, end);
}

/** As unicode.IsSpace of Go: `\s` and the control character NEL, but not the byte order mark. */
function isSpace(character: string): boolean {
  if (character > ' ' && character < '\u0080') return false;
  return character === '\u0085' || (character !== '\ufeff' && /\s/.test(character));
}

/** White space between words. Fewer characters than are trimmed at the ends of a text. */
export const blanks = /[\t\v\f\r ]+/;

function splitInstruction(text: string): Omit<Instruction, 'line'> {
  const trimmed = trimEnds(text);
  const end = trimmed.search(blanks);
  if (end < 0) return { keyword: trimmed.toUpperCase(), flags: [], rest: '' };
  const { flags, rest } = splitFlags(trimmed.slice(end).replace(/^[\t\v\f\r ]+/, ''));
  return { keyword: trimmed.slice(0, end).toUpperCase(), flags, rest: trimEnds(rest) };
}

/** The instruction that ONBUILD keeps for later. */
export function triggerOf({ keyword, rest, line }: Instruction): Instruction | undefined {
  return keyword === 'ONBUILD' && rest !== '' ? { ...splitInstruction(rest), line } : undefined;
}

/** As extractBuilderFlags of both tools: flags are the words that begin with `--`, up to the first one that does not. */
function splitFlags(text: string): { readonly flags: readonly string[]; readonly rest: string } {
  const flags: string[] = [];
  let at = 0;
  while (at < text.length) {
    while (at < text.length && isSpace(text.charAt(at))) at++;
    if (!text.startsWith('--', at)) return { flags, rest: text.slice(at) };
    let word = '';
    let quote = '';
    for (; at < text.length; at++) {
      const character = text.charAt(at);
      if (character === '\\') word += text.charAt(++at);
      else if (quote !== '' && character === quote) quote = '';
      else if (quote === '' && (character === '"' || character === "'")) quote = character;
      else if (quote === '' && isSpace(character)) break;
      else word += character;
    }
    if (word === '--') return { flags, rest: text.slice(at) };
    flags.push(word);
  }
  return { flags, rest: '' };
}

type Heredoc = { readonly name: string; readonly tabs: boolean };

/** Here-documents are read with the backslash as escape character, whatever the directive is. */
function heredocsOf(instruction: Instruction, text: string, { heredocs }: Dialect): readonly Heredoc[] {
  if (!text.includes('<<')) return [];
  const { keyword, rest } = triggerOf(instruction) ?? instruction;
  if (!mayHaveHeredocs.has(keyword) || isJsonList(rest)) return [];
  return shellWords(text, heredocs).flatMap((word) => {
    const [, tabs = '', quoted = ''] = /^\d*<<(-?)([^<]+)$/.exec(word) ?? [];
    const name = unquote(quoted);
    return quoted === '' || (name === '' && heredocs === 'sure') ? [] : [{ name, tabs: tabs === '-' }];
  });
}

function isJsonList(text: string): boolean {
  if (!text.startsWith('[')) return false;
  try {
    return Array.isArray(JSON.parse(text));
  } catch {
    return false;
  }
}

/** Words with their quotes and escapes. None if a quote is not closed, or, with `sure`, if only some tools know a variable's syntax. */
function shellWords(text: string, heredocs: Dialect['heredocs']): readonly string[] {
  const words: string[] = [];
  let word = '';
  let quote = '';
  for (let at = 0; at < text.length; at++) {
    const character = text.charAt(at);
    if (
      heredocs === 'sure' &&
      quote !== "'" &&
      text.startsWith('${', at) &&
      !/^\$\{\w+(:?[-+?][^{}'"\\]*)?\}/.test(text.slice(at, at + 1024))
    )
      return [];
    if (character === '\\' && quote !== "'") {
      word += character + text.charAt(++at);
    } else if (quote === '' && isSpace(character)) {
      if (word !== '') words.push(word);
      word = '';
    } else {
      if (quote === character) quote = '';
      else if (quote === '' && (character === '"' || character === "'")) quote = character;
      word += character;
    }
  }
  if (quote !== '') return [];
  return word === '' ? words : [...words, word];
}

function unquote(word: string): string {
  return word.replace(
    /\\(.)|'([^']*)'|"((?:\\.|[^"\\])*)"/g,
    (_all, escaped, single, double) => escaped ?? single ?? double?.replace(/\\(["$\\])/g, '$1') ?? '',
  );
}
