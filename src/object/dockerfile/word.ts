/**
 * Words of a Dockerfile: `$name`, `${name}`, and `${name` with `-`, `+` or `?`, with or without a colon, and a word; quotes and escapes
 * fall away (docs.docker.com, Dockerfile reference, "Environment replacement"; openshift/imagebuilder shell_parser.go).
 */

export type Expansion =
  | { readonly kind: 'text'; readonly text: string }
  /** It depends on a value that is kept elsewhere; {@link unseenMark} stands in the text for each. */
  | { readonly kind: 'unseen'; readonly text: string }
  /** Written in a way that is not followed here, though a tool may. */
  | { readonly kind: 'unreadable' };

/** Gives undefined for what is not set, which stands for nothing. */
export type LookUp = (name: string) => Expansion | undefined;

/** A code unit that is no character, and that no image name has. */
export const unseenMark = '\uffff';

export const unseen: Expansion = { kind: 'unseen', text: unseenMark };

export function expandWord(word: string, escapeCharacter: string, lookUp: LookUp): Expansion {
  const reader = new WordReader(word, escapeCharacter, lookUp);
  const text = reader.read('');
  // Each variable can double the text, and no image name is that long.
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

  /** Up to `end`, which is passed over. */
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

  /** In double quotes it escapes what has a meaning there, and is a character like any other before the rest. */
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
    const takesValue = isSet !== (operator === '+');
    // What is not taken does not count.
    if (takesValue || (operator === '+' && !isSet)) this.unseen = unseenBefore || value?.kind === 'unseen';
    if (operator === '+') return isSet ? alternative : '';
    // After `?` stands what to say, and then the build ends; older tools take it for a default.
    return isSet ? this.textOf(value) : alternative;
  }

  private textOf(value: Expansion | undefined): string {
    if (value?.kind === 'unseen') this.unseen = true;
    if (value?.kind === 'unreadable') this.unreadable = true;
    return value === undefined || value.kind === 'unreadable' ? '' : value.text;
  }

  /** Of a name that begins with a digit, the digit alone. */
  private readName(): string {
    const start = this.at;
    if (/\d/.test(this.word.charAt(start))) this.at++;
    else while (/[\p{L}\p{Nd}_]/u.test(this.word.charAt(this.at))) this.at++;
    return this.word.slice(start, this.at);
  }
}
