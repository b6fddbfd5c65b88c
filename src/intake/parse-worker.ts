/** A thread of its own that parses rules documents: one message a document, one answer each. */
import { parentPort } from 'node:worker_threads';
import { parseRulesDocument } from '../rules/parse.ts';
import type { TextToParse } from './parser.ts';

// The YAML parser makes an error of each thing it stumbles over, and their stacks would take more memory than the text they are about.
Error.stackTraceLimit = 0;

parentPort?.on('message', ({ text, source, scope, start }: TextToParse) =>
  parentPort?.postMessage(parseRulesDocument(text, source, scope, start)),
);
// Whoever waits counts the time from here, not that of the start.
parentPort?.postMessage('ready');
