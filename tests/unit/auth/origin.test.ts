// Host and Origin: which pages and names get through.
import { expect, test } from 'vitest';
import { checkOrigin } from '../../../server/auth/origin.ts';

type Headers = Record<string, string>;
const allowed = ['slots.example', 'fixed.example:8443'];
const passes = (headers: Headers): boolean => {
  try {
    checkOrigin({ headers }, { allowed });
    return true;
  } catch {
    return false;
  }
};

test.each<[Headers, boolean]>([
  [{ host: 'localhost:8080' }, true],
  [{ host: '127.0.0.1:8080' }, true],
  [{ host: '127.8.9.10' }, true],
  [{ host: '[::1]:8080' }, true],
  [{ host: 'LOCALHOST:8080' }, true],
  [{ host: '10.1.2.3:8080' }, true],
  [{ host: '[fd00::1]:8080' }, true],
  [{ host: 'slots.example' }, true],
  [{ host: 'slots.example:8080' }, true],
  [{ host: 'fixed.example:8443' }, true],
  [{ host: 'fixed.example:8444' }, false],
  [{ host: 'evil.example' }, false],
  [{ host: 'localhost.evil.example:8080' }, false],
  [{ host: 'localhost@evil.example' }, false],
  [{ host: '' }, false],
  [{ host: 'a b' }, false],
  [{}, false],
])('Host %o: %s', (headers, expected) => {
  expect(passes(headers)).toBe(expected);
});

test.each<[string, string, boolean]>([
  ['localhost:8080', 'http://localhost:8080', true],
  ['127.0.0.1:8080', 'http://localhost:8080', true],
  ['localhost:80', 'http://localhost', true],
  ['10.1.2.3:8080', 'http://10.1.2.3:8080', true],
  ['slots.example', 'https://slots.example', true],
  ['127.0.0.1:8080', 'https://slots.example', true],
  ['fixed.example:8443', 'https://fixed.example:8443', true],
  ['localhost:8080', 'http://localhost:8081', false],
  ['localhost:8080', 'http://localhost', false],
  ['localhost:8080', 'null', false],
  ['localhost:8080', '', false],
  ['localhost:8080', 'https://evil.example', false],
  ['localhost:8080', 'http://localhost.evil.example', false],
  ['localhost:8080', 'http://evil.example:8080', false],
  ['localhost:8080', 'http://localhost:8080@evil.example', false],
  ['localhost:8080', 'http://localhost:8080/x', false],
  ['localhost:8080', 'file://localhost:8080', false],
  ['slots.example:8080', 'http://localhost:8080', false],
  ['10.1.2.3:8080', 'http://10.1.2.4:8080', false],
])('Host %s, Origin %s: %s', (host, origin, expected) => {
  expect(passes({ host, origin })).toBe(expected);
});

test('a page of another site or port that loads without naming its origin is refused, a link to the page is not', () => {
  const host = 'localhost:8080';
  expect(passes({ host, 'sec-fetch-site': 'same-site', 'sec-fetch-mode': 'no-cors' })).toBe(false);
  expect(passes({ host, 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors' })).toBe(false);
  expect(passes({ host, 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' })).toBe(true);
  expect(passes({ host, 'sec-fetch-site': 'same-origin', 'sec-fetch-mode': 'cors' })).toBe(true);
  expect(passes({ host, 'sec-fetch-site': 'none' })).toBe(true);
});
