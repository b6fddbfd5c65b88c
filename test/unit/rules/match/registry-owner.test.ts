/** Tests which part of a host name, and which registries, belong to one owner. */
import { expect, test } from 'vitest';
import { isSharedRegistry, registrableDomain } from '../../../../src/rules/match/registry-owner.ts';

test.each([
  ['registry.example.com', 'example.com'],
  ['a.b.example.com', 'example.com'],
  ['example.com', 'example.com'],
  ['quay.io', 'quay.io'],
  ['registry.example.co.uk', 'example.co.uk'],
  ['registry.example.com.au', 'example.com.au'],
  ['co.uk', undefined],
  ['localhost', undefined],
  ['registry', undefined],
  ['10.0.0.1', undefined],
  ['[fd00::1]', undefined],
  ['acme.azurecr.io', undefined],
  ['123456789012.dkr.ecr.eu-west-1.amazonaws.com', undefined],
  ['acme.jfrog.io', undefined],
])('the registrable domain of %s is %s', (host, expected) => expect(registrableDomain(host)).toBe(expected));

test.each([
  ['docker.io', true],
  ['eu.gcr.io', true],
  ['europe-docker.pkg.dev', true],
  ['registry.gitlab.com', true],
  ['registry.example.com', false],
  ['notdocker.io', false],
])('%s has many owners: %s', (host, expected) => expect(isSharedRegistry(host)).toBe(expected));
