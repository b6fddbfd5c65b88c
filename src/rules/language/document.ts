/** Reads the text of a rules document into data with positions. Reports what YAML allows and the rules format does not. */
import { quote } from '../../image/problem.ts';
import { formatCount } from '../../image/wording.ts';
import type { TextStart } from '../../yaml/lines.ts';
import type { YamlDocument } from '../../yaml/read-document.ts';
import { readOrdinaryYaml, readYaml, type YamlOptions } from '../../yaml/read-yaml.ts';
import { describeYamlError, type Position, shortTag, type YamlError, type YamlTrouble } from '../../yaml/yaml-error.ts';
import type { ProblemCode } from './problem.ts';

/** A problem without its source, which the caller knows. */
export type DocumentProblem = { readonly code: ProblemCode; readonly message: string; readonly position: Position };

export type ReadResult =
  | { readonly ok: true; readonly data: YamlDocument | undefined }
  | {
      readonly ok: false;
      readonly problems: readonly DocumentProblem[];
      /**
       * Data that can still be checked if all problems are about single values: aliases, tags, duplicate fields. `rejected` are their
       * pointers.
       */
      readonly partial?: { readonly data: YamlDocument; readonly rejected: ReadonlySet<string> };
    };

/** Limits of a document, as in `YamlLimits`, and where it begins in its file. */
export type DocumentFrame = { readonly maxLength: number; readonly maxLexemes: number; readonly start: TextStart };

/** Rules have three levels of nesting, and each level may need three entries of the parser's stack. */
const maxStackDepth = 48;

/**
 * Reads one YAML 1.2 or JSON document into plain data. Anchors, aliases, tags, directives and duplicate fields are problems, so that the
 * text shows all values as they are. `data` is undefined if the text contains only comments or null. Never throws. Takes time linear in the
 * length of the text.
 */
export function readDocument(text: string, frame: DocumentFrame): ReadResult {
  const { documents, error } = readYaml(text, optionsFor(frame));
  if (error) return { ok: false, problems: [problemOf(error)] };
  const [data] = documents;
  if (data === undefined) return { ok: true, data: undefined };

  const syntax = syntaxProblems(data.errors);
  const brokenLines = new Set(syntax.map(({ position }) => position.line));
  const problems = data.errors.filter(({ code, position }) => code !== 'syntax' && !brokenLines.has(position.line)).map(problemOf);
  if (syntax.length > 0) return { ok: false, problems: [...problems, ...syntax] };
  if (problems.length > 0) return { ok: false, problems, partial: { data, rejected: data.rejectedValues() } };
  return { ok: true, data: data.value === null ? undefined : data };
}

/** The same, but undefined for a text that may need much time or memory, see `readOrdinaryYaml`. */
export function readOrdinaryDocument(text: string, frame: DocumentFrame): ReadResult | undefined {
  const data = readOrdinaryYaml(text, optionsFor(frame));
  return data && { ok: true, data: data.value === null ? undefined : data };
}

function optionsFor({ maxLength, maxLexemes, start }: DocumentFrame): YamlOptions {
  return { aliases: 'rejected', documents: 'one', start, limits: { maxLength, maxLexemes, maxStackDepth } };
}

/** The first error of each line, because one mistake often causes further errors on the same line. */
function syntaxProblems(errors: readonly YamlError[]): DocumentProblem[] {
  const problems: DocumentProblem[] = [];
  for (const error of errors) {
    if (error.code !== 'syntax' || problems.at(-1)?.position.line === error.position.line) continue;
    // The library reports an alias without a name twice: as a syntax error and as a value.
    if (error.cause !== 'BAD_ALIAS' || !error.text.startsWith('*')) problems.push(problemOf(error));
    // What follows is inside the string or the brackets. After a tab, the indentation of all lines is misread.
    if (error.cause === 'UNCLOSED_QUOTE' || error.cause === 'UNCLOSED_BRACKET' || error.cause === 'TAB_AS_INDENT') break;
  }
  return problems;
}

function problemOf({ position, ...trouble }: YamlError): DocumentProblem {
  return { ...describe(trouble), position };
}

function describe(trouble: YamlTrouble): Omit<DocumentProblem, 'position'> {
  switch (trouble.code) {
    case 'too-long':
      return {
        code: 'document-too-large',
        message: `the document has ${formatCount(trouble.length)} characters. The maximum is ${formatCount(trouble.maxLength)}. Split it.`,
      };
    case 'too-many-lexemes':
      return {
        code: 'document-too-large',
        message: `the document has more than ${formatCount(trouble.max)} YAML tokens. Split it, or remove repeated content.`,
      };
    case 'nested-too-deep':
      return {
        code: 'nesting-too-deep',
        message: 'the document is nested too deeply. Check for stray brackets or dashes.',
      };
    case 'syntax':
      return trouble.cause === 'BAD_ALIAS' ? describeAlias(trouble.text) : { code: 'yaml-syntax', message: syntaxSentence(trouble) };
    case 'directive': {
      const message = `the YAML directive ${quote(trouble.text)} is not supported. Rules are YAML 1.2. Remove the directive.`;
      return { code: 'yaml-tag', message };
    }
    case 'second-document':
      return { code: 'yaml-several-documents', message: 'a second YAML document starts here. Move it to a separate key or file.' };
    case 'alias':
      return describeAlias(trouble.name);
    case 'anchor': {
      const message = `the YAML anchor ${quote(`&${trouble.name}`)} is not supported. Use the value itself where it is needed.`;
      return { code: 'yaml-alias', message };
    }
    case 'tag': {
      const message = `the YAML tag ${quote(shortTag(trouble.tag))} is not supported. Remove it, and put strings in quotes.`;
      return { code: 'yaml-tag', message };
    }
    case 'duplicate-field': {
      const fix = startsWithDash(trouble.name) ? addSpaceAfterDash(trouble.name) : 'Keep one of the two.';
      const message = `the field ${quote(trouble.name)} is already set on line ${trouble.firstLine}. ${fix}`;
      return { code: 'duplicate-field', message };
    }
    default:
      return { code: 'yaml-syntax', message: describeYamlError(trouble) };
  }
}

function describeAlias(name: string): Omit<DocumentProblem, 'position'> {
  const isWildcard = /[.:/]/.test(name) || name === '';
  return isWildcard
    ? { code: 'yaml-unquoted-wildcard', message: `YAML parses an unquoted * as an alias. Put the pattern in quotes: ${quote(`*${name}`)}.` }
    : {
        code: 'yaml-alias',
        message: `the YAML alias ${quote(`*${name}`)} is not supported. Use the value itself, or put it in quotes if it is a pattern.`,
      };
}

/** Whether a field is written as an entry of a list without the space after the dash. */
export function startsWithDash(field: string): boolean {
  return /^-[A-Za-z]/.test(field);
}

export function addSpaceAfterDash(field: string): string {
  return `Add a space after the dash: ${quote(`- ${field.slice(1)}: ...`)}.`;
}

function syntaxSentence({ cause, reason, text }: YamlTrouble & { code: 'syntax' }): string {
  switch (cause) {
    case 'TAB_AS_INDENT':
      return 'this line is indented with a tab. YAML allows only spaces.';
    case 'UNCLOSED_BRACKET':
      return `${reason}. Add the closing bracket. If there is one below, indent its line.`;
    case 'UNCLOSED_QUOTE':
      return `${reason}. Add the closing quote.`;
    case 'BLOCK_AS_IMPLICIT_KEY':
      if (reason.includes('block sequence')) return 'a list entry is indented more than the field above. Align the dashes of a list.';
      return 'a field starts inside a value. Put the value in quotes if it contains ": ", or align the next line with the field above.';
    case 'BAD_SCALAR_START':
      return 'a value starts with a character that YAML reserves. Put the value in quotes.';
    case 'MISSING_CHAR':
      return (
        missingColon(reason, text) ??
        `the document is not valid YAML: ${shorten(reason)}. Check this line and the one before for a missing character or wrong indentation.`
      );
    case 'UNEXPECTED_TOKEN':
      // The reason names the token, which is of no use to an author.
      if (reason.endsWith('at node end'))
        return "text follows the end of a value. Start a new line for another field. A quote inside a quoted string must be doubled ('') or escaped (\\\").";
      return invalidHere(reason);
    default:
      return invalidHere(reason);
  }
}

function missingColon(reason: string, text: string): string | undefined {
  if (reason.startsWith('Sequence item')) return 'this line is not part of the list entry above. Align it with the field above.';
  if (!reason.startsWith('Implicit map keys')) return undefined;
  const [, field, value] = /^([A-Za-z]+):(\S.*)/.exec(text) ?? [];
  if (field !== undefined) return `this line has no value. Add a space after the colon: ${quote(`${field}: ${value}`)}.`;
  return `this line has no colon. Use ${quote('field: value')}.`;
}

function invalidHere(reason: string): string {
  return `the document is not valid YAML: ${shorten(reason)}. Check quotes, brackets and indentation on this line and the one before.`;
}

/** The library's messages may quote long texts. */
function shorten(reason: string): string {
  return reason.charAt(0).toLowerCase() + reason.slice(1, 120);
}
