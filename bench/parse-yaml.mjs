/** What `check` cannot avoid for YAML: the `yaml` library parses and composes each document of a file or directory. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Composer, Lexer, Parser } from 'yaml';

const path = process.argv[2] ?? '';
const files = statSync(path).isDirectory() ? readdirSync(path).map((name) => join(path, name)) : [path];
let documents = 0;
for (const file of files) {
  const composer = new Composer({ version: '1.2', schema: 'failsafe', uniqueKeys: false, prettyErrors: false });
  const parser = new Parser();
  const compose = (tokens) => {
    for (const token of tokens) for (const _document of composer.next(token)) documents += 1;
  };
  for (const lexeme of new Lexer().lex(readFileSync(file, 'utf8'))) compose(parser.next(lexeme));
  compose(parser.end());
  for (const _document of composer.end()) documents += 1;
}
console.log(documents);
