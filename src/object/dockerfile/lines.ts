/**
 * A Dockerfile's text, taken apart into instructions as the tools that build by it do: openshift/imagebuilder (dockerfile/parser), which
 * buildah and OpenShift's builds use, and moby/buildkit (frontend/dockerfile/parser). They do not agree everywhere, and an image that one of
 * them would pull must not hide in what another takes for a comment, a continuation or a here-document: so each way to read the text that
 * makes a difference is a reading of its own.
 */

export type Instruction = {
  /** In upper case. */
  readonly keyword: string;
  /** `--from=x`, with quotes and escapes taken away. */
  readonly flags: readonly string[];
  /** What follows, on one line. */
  readonly rest: string;
  /** 1-based. */
  readonly line: number;
};

export type Reading = {
  readonly escapeCharacter: string;
  readonly instructions: readonly Instruction[];
};

/**
 * Every reading that some tool could build by; where none could, every reading. Each takes time linear in the text, and is made when it is
 * asked for.
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

/** Instructions are the same objects where their text and line are the same. */
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

/** Readings share most of their lines, and many files repeat one line: each text is taken apart once. */
function splitOnce(): Split {
  const parts = new Map<string, Omit<Instruction, 'line'>>();
  // By line: each reading may end an instruction elsewhere, so there can be several.
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
 * OpenShift's builder reads the Dockerfile, changes it and writes it out again, with flags as they are without quotes and escapes, and
 * without a `--` that ends them: what was one flag, or none, can be several when buildah reads it (openshift/builder
 * pkg/build/builder/util/dockerfile, Write). None where that changes nothing, as in all but odd files.
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
  // Nothing is left to take away, and a rest that begins with `--` comes after a `--` that ended the flags.
  if (!flags.some((flag) => /[\s"'\\]/.test(flag)) && !rest.startsWith('--')) return instruction;
  return { ...splitInstruction(writeOut({ keyword, flags, rest })), line };
}

function writeOut({ keyword, flags, rest }: Pick<Instruction, 'keyword' | 'flags' | 'rest'>): string {
  return [keyword, ...flags, rest].join(' ');
}

type Dialect = {
  readonly escapeCharacter: string;
  /** Whether a line that ends in two escape characters goes on: for imagebuilder it does, for BuildKit since 2021 the second is escaped. */
  readonly doubledContinues: boolean;
  /** `none`: from before 2021 (BuildKit) or 2024 (imagebuilder). `all`: also where it depends on the tool's age whether a line has one. */
  readonly heredocs: 'none' | 'sure' | 'all';
};

function dialectsOf(lines: readonly string[]): readonly Dialect[] {
  const doubled = lines.some(mayBeDoubled) ? [true, false] : [true];
  const heredocs: readonly Dialect['heredocs'][] = lines.some((line) => line.includes('<<')) ? ['sure', 'none', 'all'] : ['none'];
  return escapeCharacters(lines).flatMap((escapeCharacter) =>
    doubled.flatMap((doubledContinues) => heredocs.map((each) => ({ escapeCharacter, doubledContinues, heredocs: each }))),
  );
}

/** Also with more than one carriage return behind it, which only some take for a part of the line's end. */
function mayBeDoubled(line: string): boolean {
  const end = endWithout(line, ' \t\r');
  const last = line.charAt(end - 1);
  return (last === '\\' || last === '`') && (line.charAt(end - 2) === last || line.endsWith('\r\r') || line.includes('\r ', end));
}

/** `# escape=X` on the first line counts for all; after another directive, or with more behind it, for some. */
function escapeCharacters(lines: readonly string[]): readonly string[] {
  for (const [index, line] of lines.entries()) {
    const comment = trimStart(line);
    const equals = comment.indexOf('=');
    const name = comment.slice(1, equals).trim();
    const value = comment.slice(equals + 1).trim();
    if (!comment.startsWith('#') || equals < 0 || value === '' || !/^[a-zA-Z][a-zA-Z0-9]*$/.test(name)) break;
    if (name.toLowerCase() !== 'escape') continue;
    if (!value.startsWith('`')) break;
    // Where one of the tools reads it otherwise, or not at all.
    return index > 0 || value !== '`' ? ['`', '\\'] : ['`'];
  }
  return ['\\'];
}

const keywords = new Set(
  'ADD ARG CMD COPY ENTRYPOINT ENV EXPOSE FROM HEALTHCHECK LABEL MAINTAINER ONBUILD RUN SHELL STOPSIGNAL USER VOLUME WORKDIR'.split(' '),
);
const mayHaveHeredocs = new Set(['ADD', 'COPY', 'RUN']);

type Attempt = Reading & {
  /** Whether the tool would get to the end of the text. */
  readonly possible: boolean;
};

function readAs(dialect: Dialect, lines: readonly string[], split: Split): Attempt {
  const instructions: Instruction[] = [];
  let possible = true;
  let at = 0;
  while (at < lines.length) {
    const line = at + 1;
    let [text, goesOn] = withoutContinuation(withoutComment(trimStart(lines[at++] ?? '')), dialect);
    if (!goesOn && text === '') continue;
    const parts = [text];
    while (goesOn && at < lines.length) {
      const next = lines[at++] ?? '';
      // Comments and empty lines do not end a continuation.
      if (withoutComment(trimStart(next)).trim() === '') continue;
      [text, goesOn] = withoutContinuation(next, dialect);
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

function withoutContinuation(line: string, { escapeCharacter, doubledContinues }: Dialect): [text: string, goesOn: boolean] {
  const text = line.slice(0, endWithout(line, '\r'));
  const end = doubledContinues ? endWithout(line, ' \t\r') : endWithout(line.endsWith('\r') ? line.slice(0, -1) : line, ' \t');
  const goesOn = line.charAt(end - 1) === escapeCharacter && (doubledContinues || line.charAt(end - 2) !== escapeCharacter);
  return goesOn ? [line.slice(0, end - 1), true] : [text, false];
}

function endsHeredoc(line: string, name: string, tabs: boolean): boolean {
  let start = 0;
  while (tabs && line.charAt(start) === '\t') start++;
  return line.slice(start, endWithout(line, '\r')) === name;
}

/** Where a text would end without these characters. No regular expression: those that look for an end take time by the square. */
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

/** As Go's unicode.IsSpace has it: `\s` and the control character NEL, but no byte order mark. */
function isSpace(character: string): boolean {
  if (character > ' ' && character < '\u0080') return false;
  return character === '\u0085' || (character !== '\ufeff' && /\s/.test(character));
}

/** White space between words, narrower than what is trimmed at the ends. */
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

/** As extractBuilderFlags of both tools: words that begin with `--`, up to the first that does not. */
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

/** Whatever the escape directive says, these are read with backslashes. */
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

/** With quotes and escapes kept. None at all where a quote has no end, or a variable is written in a way that only some tools know. */
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
