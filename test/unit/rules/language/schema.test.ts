/** Tests the JSON Schema of rules documents as it is published. */
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, test } from 'vitest';
import { problemCodes } from '../../../../src/rules/language/problem.ts';
import { fieldsOfLevel, rulesSchema } from '../../../../src/rules/language/schema.ts';
import { schemaErrors } from '../../../../src/rules/language/schema-errors.ts';

const published = JSON.parse(JSON.stringify(rulesSchema));

describe('the published schema', () => {
  test('contains its dialect and rejects unknown fields on both levels', () => {
    expect(published.$schema).toBe('https://json-schema.org/draft/2020-12/schema');
    expect([published.additionalProperties, published.properties.rules.items.additionalProperties]).toEqual([false, false]);
  });

  test('is a valid schema, and ajv knows each keyword in it', () => {
    const ajv = new Ajv2020({ strict: true, strictTypes: true, formats: { date: true } });
    expect(ajv.validateSchema(published), ajv.errorsText()).toBe(true);
    expect(() => ajv.compile(published)).not.toThrow();
    expect(ajv.validateSchema({ ...published, required: 'rules' })).toBe(false);
  });

  test('describes every field', () => {
    const fields = [published.properties, published.properties.rules.items.properties].flatMap((properties) => Object.entries(properties));
    expect(fields.map(([name]) => name)).toEqual([...fieldsOfLevel.document, ...fieldsOfLevel.rule]);
    for (const [name, field] of fields) expect(field, name).toHaveProperty('description', expect.stringMatching(/^[A-Z].*\.$/s));
  });

  test('accepts the smallest document and one with all fields', () => {
    const rule = { name: 'a', registry: ['reg.io'], trust: true, pullSecret: ['a', 'b.c'], pushSecret: 'a' };
    const full = {
      unconfigured: 'deny',
      mode: 'audit',
      contact: 'us',
      internalRegistries: ['a:5000'],
      rules: [rule, { registry: 'b.io' }],
    };
    expect([schemaErrors({}), schemaErrors(full)]).toEqual([[], []]);
  });
});

test('every problem code has one line that explains it', () => {
  for (const [code, { text }] of Object.entries(problemCodes)) expect(text, code).toMatch(/^[A-Z][^\n]*\.$/);
});
