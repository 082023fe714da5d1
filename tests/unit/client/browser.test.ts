import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, test } from 'vitest';

/** What a file loads at once, types and lazy imports left out. */
function loaded(file: string): string[] {
  const source = readFileSync(file, 'utf8');
  return [...source.matchAll(/^(?:import|export) (?!type )[^;]*? from '([^']+)';/gm)].map(([, name = '']) => name);
}

test('a browser loads nothing of Node, and not the schemas either', () => {
  const seen = new Set<string>();
  const packages = new Set<string>();
  const visit = (file: string): void => {
    if (seen.has(file)) return;
    seen.add(file);
    for (const name of loaded(file)) {
      if (name.startsWith('.')) visit(resolve(file, '..', name));
      else packages.add(name);
    }
  };
  visit(new URL('../../../client/index.ts', import.meta.url).pathname);
  expect(seen.size).toBeGreaterThan(15);
  expect([...packages]).toEqual([]);
});
