/**
 * Words of a Dockerfile: `$name`, `${name}`, and `${name` with `-`, `+` or `?`, with or without a colon, and a word; quotes and escapes
 * fall away (docs.docker.com, Dockerfile reference, "Environment replacement"; openshift/imagebuilder shell_parser.go).
 */

export type Expansion =
  | { readonly kind: 'text'; readonly text: string }
  /** It depends on a value that is kept elsewhere. */
  | { readonly kind: 'unseen' }
  /** Written in a way that is not followed here, though a tool may. */
  | { readonly kind: 'unreadable' };

/** `lookUp` gives undefined for what is not set, which stands for nothing. */
export function expandWord(word: string, escapeCharacter: string, lookUp: (name: string) => Expansion | undefined): Expansion {
  const reader = new WordReader(word, escapeCharacter, lookUp);
  const text = reader.read('');
  // Each variable can double the text, and no image name is that long.
  if (reader.unreadable || text.length > longestWord) return { kind: 'unreadable' };
  return reader.unseen ? { kind: 'unseen' } : { kind: 'text', text };
}

const longestWord = 4096;
const deepestNesting = 32;

class WordReader {
  unseen = false;
  unreadable = false;
  private readonly word: string;
  private readonly escapeCharacter: string;
  private readonly lookUp: (name: string) => Expansion | undefined;
  private at = 0;
  private depth = 0;

  constructor(word: string, escapeCharacter: string, lookUp: (name: string) => Expansion | undefined) {
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
      if (character === this.escapeCharacter) part = word.charAt(this.at++);
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
    return value?.kind === 'text' ? value.text : '';
  }

  /** Of a name that begins with a digit, the digit alone. */
  private readName(): string {
    const start = this.at;
    if (/\d/.test(this.word.charAt(start))) this.at++;
    else while (/[\p{L}\p{Nd}_]/u.test(this.word.charAt(this.at))) this.at++;
    return this.word.slice(start, this.at);
  }
}
