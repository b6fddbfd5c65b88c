/** Validates rules documents with their JSON Schema. */
import type { ErrorObject, ValidateFunction } from 'ajv/dist/2020.js';
import { compileSchema } from './compile-schema.ts';

/** Compiled when the first document is validated, so that commands without rules do not spend the time. */
let validate: ValidateFunction | undefined;

/** All differences between a value and the schema, as ajv errors. Empty if it is a `RulesDocument`. */
export function schemaErrors(value: unknown): readonly ErrorObject[] {
  validate ??= compileSchema();
  return validate(value) ? [] : [...(validate.errors ?? [])];
}
