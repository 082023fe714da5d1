// Where credentials are found, and that a URL is no place for one.
import { expect, test } from 'vitest';
import { findCredential, offeredProtocols } from '../../../server/auth/credential.ts';

const base64url = (text: string): string => Buffer.from(text).toString('base64url');

test.each([
  [{ authorization: 'Bearer abc' }, { token: 'abc', by: 'header' }],
  [{ authorization: 'bearer  abc ' }, { token: 'abc', by: 'header' }],
  [{ authorization: 'Basic dXNlcjpwYXNz' }, null],
  [
    { authorization: 'Basic dXNlcjpwYXNz', cookie: 'slotcast=abc' },
    { token: 'abc', by: 'cookie' },
  ],
  [
    { 'sec-websocket-protocol': `slotcast.v1, slotcast.bearer.${base64url('a b/ü')}` },
    { token: 'a b/ü', by: 'protocol' },
  ],
  [{ cookie: 'other=1; slotcast=a.b=c; x=2' }, { token: 'a.b=c', by: 'cookie' }],
  [{ cookie: 'notslotcast=abc' }, null],
  [
    { authorization: 'Bearer header', cookie: 'slotcast=cookie' },
    { token: 'header', by: 'header' },
  ],
  [{}, null],
] as const)('%o carries %o', (headers, expected) => {
  expect(findCredential({ headers, url: '/ws?slot=slot_1' })).toEqual(expected);
});

test.each(['token', 'TOKEN', 'access_token', 'auth', 'api_key', 'jwt', '%74oken'])(
  '?%s= in a URL is refused',
  (name) => {
    const headers = { authorization: 'Bearer right' };
    expect(() => findCredential({ headers, url: `/ws?${name}=x` })).toThrow('never goes into a URL');
  },
);

test('a Bearer header that can not be read is refused', () => {
  expect(() => findCredential({ headers: { authorization: 'Bearer' } })).toThrow('Bearer TOKEN');
  expect(() => findCredential({ headers: { authorization: 'Bearer a b' } })).toThrow('Bearer TOKEN');
});

test('the subprotocol with the credential is never among those that may be chosen', () => {
  const headers = { 'sec-websocket-protocol': 'slotcast.bearer.eA, slotcast.v1 ,x' };
  expect(offeredProtocols(headers)).toEqual(['slotcast.v1', 'x']);
});
