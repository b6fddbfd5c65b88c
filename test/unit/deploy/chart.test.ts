/** The Helm chart: version, starter rules, values and their schema. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv } from 'ajv';
import { describe, expect, test } from 'vitest';
import { parse, parseDocument } from 'yaml';

const root = join(import.meta.dirname, '../../..');
const read = (file: string) => readFileSync(join(root, file), 'utf8');

const values = parse(read('deploy/chart/values.yaml')) as Record<string, unknown>;
const schema = JSON.parse(read('deploy/chart/values.schema.json')) as Schema;
type Schema = { properties?: Record<string, Schema>; additionalProperties?: boolean | Schema; description?: string };

test('the chart is for this release', () => {
  const { version } = JSON.parse(read('package.json')) as { version: string };
  expect(parse(read('deploy/chart/Chart.yaml'))).toMatchObject({ version, appVersion: version });
});

test.each([
  ['kubernetes', 'deploy/starter-rules/rules.yaml'],
  ['openshift', 'deploy/openshift/starter-rules.yaml'],
])('the starter rules for %s are those in %s', (starter, manifest) => {
  const { data } = parse(read(manifest)) as { data: Record<string, string> };
  expect(read(`deploy/chart/files/starter-rules/${starter}.yaml`)).toBe(data['rules.yaml']);
});

test('there is a value for each file of starter rules, and one for none', () => {
  const files = readdirSync(join(root, 'deploy/chart/files/starter-rules')).map((file) => file.replace(/\.yaml$/, ''));
  const starter = schema.properties?.rules?.properties?.starter as { enum: string[] };
  expect([...starter.enum].sort()).toEqual([...files, 'none'].sort());
});

describe('values.schema.json', () => {
  test('accepts values.yaml as it is', () => {
    const validate = new Ajv({ strict: true, allowUnionTypes: true, strictTypes: false, strictRequired: false }).compile(schema);
    validate(values);
    expect(validate.errors).toBeNull();
  });

  test('has the same values as values.yaml, rejects everything else, and describes each value', () => {
    expect(problemsOf(schema, values, '')).toEqual([]);
  });

  /** Objects whose names we define allow no other names. Objects whose names Kubernetes or the user defines are not checked further. */
  function problemsOf({ properties, additionalProperties, description }: Schema, value: unknown, path: string): string[] {
    if (properties === undefined) return description === undefined ? [`${path} has no description`] : [];
    const open = additionalProperties === false ? [] : [`${path} takes unknown names`];
    const fromSchema = Object.keys(properties).filter((name) => !optional.includes(`${path}.${name}`));
    const known = Object.keys((value ?? {}) as object);
    const missing = fromSchema
      .filter((name) => value !== undefined && !known.includes(name))
      .map((name) => `${path}.${name} is not in values.yaml`);
    const inner = Object.entries(properties).flatMap(([name, each]) =>
      problemsOf(each, (value as Record<string, unknown> | undefined)?.[name], `${path}.${name}`),
    );
    return [...open, ...missing, ...inner];
  }

  /** Values of a parent chart, and members of objects that are empty by default. */
  const optional = [
    '.enabled',
    '.global',
    ...['runAsUser', 'runAsGroup', 'fsGroup', 'supplementalGroups'].map((name) => `.podSecurityContext.${name}`),
    ...['runAsUser', 'runAsGroup', 'seLinuxOptions', 'seccompProfile', 'appArmorProfile'].map((name) => `.securityContext.${name}`),
    ...['group', 'kind', 'name'].map((name) => `.certs.certManager.issuerRef.${name}`),
  ];
});

test('every value in values.yaml is used by a template', () => {
  const files = readdirSync(join(root, 'deploy/chart/templates'), { recursive: true, encoding: 'utf8' });
  const templates = files.filter((file) => /\.\w+$/.test(file)).map((file) => read(join('deploy/chart/templates', file)));
  const unused = Object.keys(parseDocument(read('deploy/chart/values.yaml')).toJS()).filter(
    (name) => !templates.some((text) => new RegExp(`\\.Values\\.${name}\\b`).test(text)),
  );
  expect(unused).toEqual([]);
});
