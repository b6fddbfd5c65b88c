/** Compiles the schema of rules documents. `npm run build` replaces this file by the code that it generates. */
import { Ajv2020, type Options, type ValidateFunction } from 'ajv/dist/2020.js';
import { isCalendarDay } from './calendar-day.ts';
import { rulesSchema } from './schema.ts';

export const schemaOptions: Options = {
  strict: true,
  allErrors: true,
  verbose: true,
  formats: { date: isCalendarDay },
  // Together the two options took half of the compile time. A test validates the schema against its meta-schema, and V8 optimizes hot code
  // itself.
  validateSchema: false,
  code: { optimize: false },
};

export function compileSchema(): ValidateFunction {
  return new Ajv2020(schemaOptions).compile(rulesSchema);
}
