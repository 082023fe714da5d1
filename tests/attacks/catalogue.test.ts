import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { catalogue } from './catalogue.ts';

const page = readFileSync(new URL('../../docs/attacks.md', import.meta.url), 'utf8');

test('docs/attacks.md has every row of the catalogue as it is now: npm run test:attacks makes it', () => {
  const rows = Object.entries(catalogue).map(([id, { attack, must }]) => `| ${id} | ${attack} | ${must} | `);
  expect(rows.filter((row) => !page.includes(`\n${row}`))).toEqual([]);
});

test('docs/attacks.md says of no row that it was not tried, or that it fails', () => {
  expect(page.match(/^.*\| (not tried|FAILS).*$/gm)).toBe(null);
});
