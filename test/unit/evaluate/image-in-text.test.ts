// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are the variables of templates
/** Recognizes images in manifests, the values of charts and patches that are texts, and in no other text. */
import { describe, expect, test } from 'vitest';
import { linesNameImage } from '../../../src/evaluate/image-in-text.ts';

describe('a text with an image', () => {
  test.each([
    'image: evil/a',
    'spec:\n  containers:\n  - name: a\n    image: "evil.io/a:1" # comment\n',
    '- image: evil/a\r\n  name: a\r\n',
    'image:\n  repository: evil.io/a\n  tag: 1\n',
    'image:\r\n  repository: evil.io/a\r\n',
    'image:\n\n  # comment\n  tag: 1\n',
    'image:\n  registry: evil.io\n',
    'image:\n  pullPolicy: Always\n  name: evil/a\n',
    'image: # comment\n  name: evil/a\n',
    'image: &image\n  name: evil/a\n',
    'image: >-\n  evil/a\n',
    'image: {repository: evil.io/a, tag: v1}',
    'image: {"repository": "evil.io/a"}',
    'images:\n- evil/a\n',
    'images: [evil/a]',
    'images:\n- name: a\n  newName: evil.io/a\n',
    'global:\n  imageRegistry: evil.io\n',
    'image.repository: evil/a',
    '{\n  "a": {\n    "image": "evil/a",\n    "b": 1\n  }\n}',
    '{\n  "image": {\n    "repository": "evil/a"\n  }\n}',
    'image: oci://evil.io/a',
    'image: evil.io/{{name}}:{{ .Values.tag }}',
    'image: evil.io/a:${TAG}',
    '- op: replace\n  path: /spec/template/spec/containers/0/image\n  value: evil/a\n',
    '- op: add\n  path: "/spec/initContainers/-/image"\n  value: evil/a\n',
  ])('%j', (text) => {
    expect(linesNameImage(text)).toBe(true);
  });
});

describe('a text without an image', () => {
  test.each([
    '',
    'replicaCount: 2\n',
    'image:\n',
    'image: ""\n',
    'image: {}\n',
    'image: []\n',
    'image: {pullPolicy: Always}',
    'image:\n  pullPolicy: IfNotPresent\n  pullSecrets: [a]\n',
    'image:\n  enabled: true\n  width: 100\n',
    'image:\nname: a\n',
    'a:\n  image:\n  name: b\n',
    'imagePullPolicy: Always\nimagePullSecrets:\n- name: a\n',
    'image: true\n',
    'image: null\n',
    '"image": 3,\n',
    '# image: a\n',
    'Pod {{ $labels.pod }}\nimage: {{ $labels.image }}\n',
    'image: {{ $labels.image }}\n',
    'image: "{{ .Values.registry }}/{{ .Values.name }}:{{ .Values.tag }}"\n',
    'image: $labels.image\n',
    'image: $(params.image)\n',
    'image: {{ $labels.image }} is old\n',
    'image: the name of the image\n',
    'Image: debian\n',
    'The image: debian\n',
    'image:debian\n',
    'image: https://example.com/logo.svg\n',
    'images: {{ range .Images }}\n',
    'containers:\n- name: a\n',
    'path: /static/image\n',
    'sum by (image) (kube_pod_container_info{image!=""})\n',
  ])('%j', (text) => {
    expect(linesNameImage(text)).toBe(false);
  });
});
