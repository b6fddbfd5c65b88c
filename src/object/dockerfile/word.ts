/**
 * Expands the variables in a word of a Dockerfile, and removes its quotes and escapes. Variables are `$name`, `${name}` and `${name:-word}`,
 * also with `+` or `?` for `-`, and without the colon (docs.docker.com, Dockerfile reference, "Environment replacement";
 * openshift/imagebuilder shell_parser.go).
 */

export type Expansion =
  | { readonly kind: 'text'; readonly text: string }
  /** The word depends on values that are kept elsewhere. The text has {@link unseenCharacter} for each. */
  | { readonly kind: 'unseen'; readonly text: string }
  /** The syntax is not supported here, though a build tool may support it. */
  | { readonly kind: 'unreadable' };

/** Returns the value of a variable. Undefined for one that is not set, which expands to the empty string. */
export type LookUp = (name: string) => Expansion | undefined;

/** A code unit that is not a character, and that no image name has. */
export const unseenCharacter = '\uffff';

export const unseen: Expansion = { kind: 'unseen', text: unseenCharacter };

export function expandWord(word: string, escapeCharacter: string, lookUp: LookUp): Expansion {
  const reader = new WordReader(word, escapeCharacter, lookUp);
  const text = reader.read('');
  // Without a limit each variable could double the text. No image name is that long.
  if (reader.unreadable || text.length > longestWord) return { kind: 'unreadable' };
  return { kind: reader.unseen ? 'unseen' : 'text', text };
}

/** Whether expanding changes nothing, whatever the variables are. */
export function isLiteral(word: string): boolean {
  return !/[$"'\\`]/.test(word);
}

const longestWord = 4096;
const deepestNesting = 32;

class WordReader {
  unseen = false;
  unreadable = false;
  private readonly word: string;
  private readonly escapeCharacter: string;
  private readonly lookUp: LookUp;
  private at = 0;
  private depth = 0;

  constructor(word: string, escapeCharacter: string, lookUp: LookUp) {
    this.word = word;
    this.escapeCharacter = escapeCharacter;
    this.lookUp = lookUp;
  }

  /** Reads up to `end`, and skips it. */
  read(end: '' | '}'): string {
    const { word } = this;
    let text = '';
    let quoted = false;
    while (this.at < word.length && !this.unreadable) {
      const character = word.charAt(this.at++);
      if (character === end && !quoted) return text;
      let part = character;
      if (character === this.escapeCharacter) part = this.readEscape(quoted);
      else if (character === '"') {
        quoted = !quoted;
        part = '';
      } else if (character === "'" && !quoted) part = this.readUntilQuote();
      else if (character === '$') part = this.readVariable();
      text += part;
      if (text.length > longestWord) this.unreadable = true;
    }
    if (end !== '' || quoted) this.unreadable = true;
    return text;
  }

  /** In double quotes, only characters with a special meaning there can be escaped. Before any other, the escape character is literal. */
  private readEscape(quoted: boolean): string {
    const next = this.word.charAt(this.at);
    if (quoted && next !== '"' && next !== '$' && next !== this.escapeCharacter) return next === '' ? '' : this.escapeCharacter;
    this.at++;
    return next;
  }

  private readUntilQuote(): string {
    const close = this.word.indexOf("'", this.at);
    if (close < 0) this.unreadable = true;
    const text = this.word.slice(this.at, close < 0 ? undefined : close);
    this.at = close < 0 ? this.word.length : close + 1;
    return text;
  }

  private readVariable(): string {
    const braced = this.word.charAt(this.at) === '{';
    if (braced) this.at++;
    const name = this.readName();
    if (name === '' && !braced) return '$';
    const value = this.lookUp(name);
    if (!braced) return this.textOf(value);

    const next = this.word.charAt(this.at++);
    if (next === '}') return this.textOf(value);
    const operator = next === ':' ? this.word.charAt(this.at++) : next;
    if (name === '' || !['-', '+', '?'].includes(operator) || this.depth >= deepestNesting) {
      this.unreadable = true;
      return '';
    }
    return this.choose(value, operator, next === ':');
  }

  private choose(value: Expansion | undefined, operator: string, emptyIsUnset: boolean): string {
    const unseenBefore = this.unseen;
    this.depth++;
    const alternative = this.read('}');
    this.depth--;
    if (value?.kind === 'unseen') this.unseen = true;
    const isSet = value !== undefined && !(emptyIsUnset && value.kind === 'text' && value.text === '');
    const usesValue = isSet !== (operator === '+');
    // An unseen value in the branch that is not used does not matter.
    if (usesValue || (operator === '+' && !isSet)) this.unseen = unseenBefore || value?.kind === 'unseen';
    if (operator === '+') return isSet ? alternative : '';
    // After `?` comes an error message, and the build fails with it. Older tools use it as a default.
    return isSet ? this.textOf(value) : alternative;
  }

  private textOf(value: Expansion | undefined): string {
    if (value?.kind === 'unseen') this.unseen = true;
    if (value?.kind === 'unreadable') this.unreadable = true;
    return value === undefined || value.kind === 'unreadable' ? '' : value.text;
  }

  /** A name that begins with a digit is that one digit. */
  private readName(): string {
    const start = this.at;
    if (/\d/.test(this.word.charAt(start))) this.at++;
    else while (/[\p{L}\p{Nd}_]/u.test(this.word.charAt(this.at))) this.at++;
    return this.word.slice(start, this.at);
  }
}
