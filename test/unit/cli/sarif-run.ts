/** Reads SARIF for tests. */
import { Ajv2020 } from 'ajv/dist/2020.js';
import { expect } from 'vitest';

const text = { type: 'object', required: ['text'], properties: { text: { type: 'string', minLength: 1 } } };
const location = {
  type: 'object',
  required: ['physicalLocation'],
  properties: {
    physicalLocation: {
      type: 'object',
      required: ['artifactLocation'],
      properties: {
        artifactLocation: {
          type: 'object',
          required: ['uri'],
          properties: { uri: { type: 'string', pattern: "^[\\w.~!$&'()*+,;=:@%/-]+$" } },
        },
        region: {
          type: 'object',
          required: ['startLine'],
          additionalProperties: false,
          properties: { startLine: { type: 'integer', minimum: 1 }, startColumn: { type: 'integer', minimum: 1 } },
        },
      },
    },
  },
};
const level = { enum: ['none', 'note', 'warning', 'error'] };
/** What SARIF 2.1.0 requires of the parts that are used here (OASIS, Static Analysis Results Interchange Format, section 3). */
const validate = new Ajv2020({ strict: false, allErrors: true }).compile({
  type: 'object',
  required: ['version', 'runs'],
  properties: {
    version: { const: '2.1.0' },
    runs: {
      type: 'array',
      items: {
        type: 'object',
        required: ['tool', 'results'],
        properties: {
          columnKind: { enum: ['utf16CodeUnits', 'unicodeCodePoints'] },
          tool: {
            type: 'object',
            required: ['driver'],
            properties: {
              driver: {
                type: 'object',
                required: ['name', 'rules'],
                properties: {
                  name: { type: 'string' },
                  semanticVersion: { type: 'string', pattern: '^\\d+\\.\\d+\\.\\d+' },
                  rules: {
                    type: 'array',
                    uniqueItems: true,
                    items: {
                      type: 'object',
                      required: ['id', 'shortDescription', 'help', 'defaultConfiguration'],
                      properties: {
                        id: { type: 'string' },
                        shortDescription: text,
                        help: text,
                        defaultConfiguration: { properties: { level } },
                      },
                    },
                  },
                },
              },
            },
          },
          results: {
            type: 'array',
            items: {
              type: 'object',
              required: ['ruleId', 'ruleIndex', 'level', 'message', 'locations'],
              properties: {
                level,
                message: text,
                locations: { type: 'array', minItems: 1, items: location },
                relatedLocations: { type: 'array', items: { ...location, required: ['id', 'physicalLocation', 'message'] } },
              },
            },
          },
        },
      },
    },
  },
});

/** The only run of a log, which must be valid. */
export function sarifRun(text: string) {
  const log = JSON.parse(text);
  expect(validate(log), JSON.stringify(validate.errors)).toBe(true);
  return log.runs[0];
}
