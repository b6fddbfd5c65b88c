/** The worker thread that parses rules documents: one message per document, one answer each. */
import { parentPort } from 'node:worker_threads';
import { parseRulesDocument } from '../rules/language/parse.ts';
import type { TextToParse } from './document-parser.ts';

parentPort?.on('message', ({ text, source, scope, start }: TextToParse) =>
  parentPort?.postMessage(parseRulesDocument(text, source, scope, start)),
);
// The deadline for a document begins with this message, not with the start of the thread.
parentPort?.postMessage('ready');
