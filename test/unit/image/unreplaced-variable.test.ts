/** Tests that a variable which no tool replaced is named as such. */
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: variables that nothing replaced are the subject of these tests
import { describe, expect, test } from 'vitest';
import { parseImage } from '../../../src/image/reference.ts';
import { findUnreplacedVariable } from '../../../src/image/unreplaced-variable.ts';
import { growthOf } from '../../growth.ts';

const advice = (variable: string) =>
  variable.startsWith('$')
    ? 'looks like an unexpanded variable. Specify the image name, or run the tool that expands the variable.'
    : 'looks like a placeholder that was not replaced. Specify the image name, or run the tool that replaces the placeholder.';

describe('a name that consists of a variable', () => {
  test.each([
    '${IMAGE}',
    '${PHP_FPM_IMAGE}',
    '${IMAGE:-nginx:1}',
    '$(IMAGE)',
    '$IMAGE',
    '$[variables.image]',
    '{{ .Values.image }}',
    '{{.Values.image}}',
    "{{ index .Values 'image' }}",
    '${{ parameters.image }}',
    '{% image %}',
    '{image}',
    '%{image}',
    '#{IMAGE}#',
    '<IMAGE>',
    '<your image>',
    '<< parameters.image >>',
    '<%= image %>',
    '%IMAGE%',
    '%(image)s',
    '((image))',
    '[[image]]',
    '@IMAGE@',
    '@project.image@',
    '__IMAGE__',
    'IMAGE',
    'IMAGE_NAME',
    'REPLACE_ME',
    '[your image]',
    'ko://github.com/tektoncd/pipeline/cmd/controller',
  ])('%s', (text) => {
    expect(parseImage(text)).toEqual({ ok: false, problem: { code: 'variable', message: `"${text}" ${advice(text)}` } });
  });
});

describe('a variable in part of a name', () => {
  test.each([
    ['$(IMAGE):1', '$(IMAGE)'],
    ['nginx:${TAG}', '${TAG}'],
    ['nginx:$TAG', '$TAG'],
    ['nginx:{{ .Chart.AppVersion }}', '{{ .Chart.AppVersion }}'],
    ['{{ .Values.registry }}/app:1', '{{ .Values.registry }}'],
    ['${REGISTRY}/app:1', '${REGISTRY}'],
    ['registry.example.com/${TEAM}/app', '${TEAM}'],
    ['registry.example.com/<team>/app:1', '<team>'],
    ['registry.example.com/app:<tag>', '<tag>'],
    ['https://${HOST}/app', '${HOST}'],
    ['app@${DIGEST}', '${DIGEST}'],
    ['app@sha256:${DIGEST}', '${DIGEST}'],
    ['registry.example.com/__NAME__:1', '__NAME__'],
    ['registry.example.com/@NAME@:1', '@NAME@'],
    ['%REGISTRY%/app', '%REGISTRY%'],
    ['IMAGE:TAG', 'IMAGE'],
    ['APP_IMAGE:1.0', 'APP_IMAGE'],
    ['${A}/${B}', '${A}'],
    ['registry.example.com:5000/[namespace]/[app-name]:latest', '[namespace]'],
    ['gcr.io/PROJECT_ID/app', 'PROJECT_ID'],
    ['registry.example.com:5000/MY_NAMESPACE/app:latest', 'MY_NAMESPACE'],
    ['YOUR_REGISTRY/app:1', 'YOUR_REGISTRY'],
    ['registry.example.com/team/APP_NAME@sha256:1', 'APP_NAME'],
    ['REGISTRY/IMAGE:TAG', 'REGISTRY'],
    ['registry.example.com/NAMESPACE/app', 'NAMESPACE'],
    ['__kafka.image__:__kafka.tag__', '__kafka.image__'],
    ['${REGISTRY:-${DEFAULT}}/app', '${DEFAULT}'],
  ])('%s', (text, variable) => {
    expect(parseImage(text)).toEqual({
      ok: false,
      problem: { code: 'variable', message: `"${text}" contains "${variable}", which ${advice(variable)}` },
    });
  });
});

test.each(['nginx:__TAG__', 'registry.example.com/app:IMAGE_TAG', 'a__b/c'])('a valid name is not searched for variables: %s', (text) => {
  expect(parseImage(text).ok).toBe(true);
});

test.each([
  'ROOT',
  'Team/App',
  'app$',
  '$',
  '${',
  '{}x}',
  'a b',
  '50%',
  '<',
  '[::1]:x/app',
  'sha256:a5',
  '[fe80::a]/App',
  'reg[0-9].io/App',
  'reg[a-z].io/App',
  'team/MY_',
  'team/xMY_APP',
])('is not a variable: %s', (text) => {
  expect(parseImage(text)).not.toMatchObject({ problem: { code: 'variable' } });
});

test.each(['bob:${S3}cret@registry.example.com/app', ' bob:${S3}cret@registry.example.com/app'])(
  'a variable in a password is not quoted: %s',
  (text) => {
    const parsed = parseImage(text);
    expect(parsed.ok || parsed.problem.message).not.toMatch(/S3|bob/);
  },
);

test.each([
  '{',
  '{{',
  '${',
  '$(',
  '<',
  '<<',
  '%a',
  '%(',
  '((',
  '[[',
  '@a',
  '__A',
  '$[',
  '#{',
  'A_',
  '[a',
  '[aaa',
  'A_A/',
  '/A_',
  '__a.',
  'ko://',
])('the search time is linear in the length of the string: many %s', (opening) => {
  // 32 times the text. If the search were quadratic, this would be 1,024.
  expect(growthOf(findUnreplacedVariable, opening.repeat(2_000), opening.repeat(64_000))).toBeLessThan(256);
});
