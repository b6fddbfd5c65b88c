/** A thread of its own that parses rules documents: one message a document, one answer each. */
import { parentPort } from 'node:worker_threads';
import { parseRulesDocument } from '../rules/language/parse.ts';
import type { TextToParse } from './document-parser.ts';

parentPort?.on('message', ({ text, source, scope, start }: TextToParse) =>
  parentPort?.postMessage(parseRulesDocument(text, source, scope, start)),
);
// Whoever waits counts the time from here, not that of the start.
parentPort?.postMessage('ready');
