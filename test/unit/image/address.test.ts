/** Tests the canonical spelling of IP addresses. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { canonicalIpv6, isUnusualIpv4 } from '../../../src/image/address.ts';
import { parseImage } from '../../../src/image/reference.ts';
import { parsePattern } from '../../../src/rules/language/pattern.ts';
import { runs } from '../../property.ts';

describe('an IPv6 address has a canonical spelling (RFC 5952)', () => {
  test.each([
    ['[2001:db8::1]', '[2001:db8::1]'],
    ['[2001:DB8::1]', '[2001:db8::1]'],
    ['[2001:db8:0::1]', '[2001:db8::1]'],
    ['[2001:0db8:0:0:0:0:0:0001]', '[2001:db8::1]'],
    ['[2001:db8:0:1:1:1:1:1]', '[2001:db8:0:1:1:1:1:1]'],
    ['[2001:db8::1:1:1:1:1]', '[2001:db8:0:1:1:1:1:1]'],
    ['[2001:0:0:1:0:0:0:1]', '[2001:0:0:1::1]'],
    ['[2001:db8:0:0:1:0:0:1]', '[2001:db8::1:0:0:1]'],
    ['[0:0:0:0:0:0:0:0]', '[::]'],
    ['[0::1]', '[::1]'],
    ['[1::0]', '[1::]'],
    ['[10:0:0:10:0:0:0:0]', '[10:0:0:10::]'],
    ['[::ffff:a00:5]', '10.0.0.5'],
    ['[0:0:0:0:0:FFFF:0a00:0005]', '10.0.0.5'],
    ['[::fffe:a00:5]', '[::fffe:a00:5]'],
  ])('%s is %s', (written, canonical) => {
    expect(canonicalIpv6(written)).toBe(canonical);
  });

  test.each([
    '[1:2]',
    '[:::::]',
    '[:]',
    '[::1::]',
    '[1:2:3:4:5:6:7]',
    '[1:2:3:4:5:6:7:8:9]',
    '[::1:2:3:4:5:6:7:8]',
    '[00001::]',
    '[g::]',
    '[]',
    '::1',
  ])('%s is not an address', (text) => {
    expect(canonicalIpv6(text)).toBeUndefined();
  });

  test('whatever groups are written, and however', () => {
    const group = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffff }));
    fc.assert(
      fc.property(fc.array(group, { minLength: 8, maxLength: 8 }), (groups) => {
        const long = `[${groups.map((each) => each.toString(16).padStart(4, '0')).join(':')}]`;
        const canonical = canonicalIpv6(long);
        // The URL parser of the runtime is another implementation of the same form.
        const expected = new URL(`http://${long}/`).hostname;
        expect(canonical?.startsWith('[') ? canonical : expected).toBe(expected);
        expect(canonical?.startsWith('[') ? canonicalIpv6(canonical) : canonical).toBe(canonical);
      }),
      runs(200),
    );
  });
});

describe('a host that ends with a number', () => {
  test.each(['10.0.0.5', '0.0.0.0', '255.255.255.255', '127.0.0.1', '1.2.3.com', 'registry5', 'reg5.example', '10.0.0.5.example', '0xg'])(
    '%s is accepted',
    (host) => {
      expect(isUnusualIpv4(host)).toBe(false);
    },
  );

  test.each([
    '10.5',
    '167772165',
    '0x0a000005',
    '10.0.0.0x5',
    '012.0.0.5',
    '10.0.0.05',
    '256.0.0.1',
    '1.2.3.4.5',
    '10.0.5',
    'reg.example.5',
    '0x',
  ])('%s is rejected in images and rules', (host) => {
    expect(isUnusualIpv4(host)).toBe(true);
    expect(parseImage(`${host}:5000/app`)).toMatchObject({ ok: false, problem: { code: 'host' } });
    expect(parsePattern(`${host}:5000`)).toMatchObject({ ok: false, code: 'pattern-host' });
  });
});
