/**
 * Words of a Dockerfile: `$name`, `${name}`, and `${name` with `-`, `+` or `?`, with or without a colon, and a word; quotes and escapes
 * fall away (docs.docker.com, Dockerfile reference, "Environment replacement").
 */

/** The text a word stands for; undefined where it depends on a variable without a value, or on syntax not named above. */
export function expandWord(word: string, escapeCharacter: string, lookUp: (name: string) => string | undefined): string | undefined {
  // Each variable can double the text, and no image name is that long.
  const result = new WordReader(word, escapeCharacter, lookUp).read('');
  return result !== undefined && result.length <= longestWord ? result : undefined;
}

const longestWord = 8192;
const deepestNesting = 32;

class WordReader {
  private readonly word: string;
  private readonly escapeCharacter: string;
  private readonly lookUp: (name: string) => string | undefined;
  private at = 0;
  private depth = 0;

  constructor(word: string, escapeCharacter: string, lookUp: (name: string) => string | undefined) {
    this.word = word;
    this.escapeCharacter = escapeCharacter;
    this.lookUp = lookUp;
  }

  /** Up to `end`, which is passed over. Reads on where a part has no value, so that the position is right. */
  read(end: '' | '}'): string | undefined {
    const { word } = this;
    let text: string | undefined = '';
    let quoted = false;
    while (this.at < word.length) {
      const character = word.charAt(this.at++);
      if (character === end && !quoted) return text;
      let part: string | undefined = character;
      if (character === this.escapeCharacter) part = word.charAt(this.at++);
      else if (character === '"') {
        quoted = !quoted;
        part = '';
      } else if (character === "'" && !quoted) part = this.readUntilQuote();
      else if (character === '$') part = this.readVariable();
      text = text === undefined || part === undefined || text.length > longestWord ? undefined : text + part;
    }
    return end === '' && !quoted ? text : undefined;
  }

  private readUntilQuote(): string | undefined {
    const close = this.word.indexOf("'", this.at);
    const text = close < 0 ? undefined : this.word.slice(this.at, close);
    this.at = close < 0 ? this.word.length : close + 1;
    return text;
  }

  private readVariable(): string | undefined {
    const braced = this.word.charAt(this.at) === '{';
    if (braced) this.at++;
    const name = this.readName();
    if (name === '') return this.giveUp();
    const value = this.lookUp(name);
    if (!braced) return value;

    const next = this.word.charAt(this.at++);
    if (next === '}') return value;
    const operator = next === ':' ? this.word.charAt(this.at++) : next;
    const isSet = next === ':' ? value !== undefined && value !== '' : value !== undefined;
    if (!['-', '+', '?'].includes(operator) || this.depth >= deepestNesting) return this.giveUp();
    this.depth++;
    const alternative = this.read('}');
    this.depth--;
    if (operator === '+') return isSet ? alternative : '';
    if (isSet) return value;
    return operator === '-' ? alternative : undefined;
  }

  private readName(): string {
    const start = this.at;
    while (/\w/.test(this.word.charAt(this.at))) this.at++;
    return this.word.slice(start, this.at);
  }

  private giveUp(): undefined {
    this.at = this.word.length;
    return undefined;
  }
}
