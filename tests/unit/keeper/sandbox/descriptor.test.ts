import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';

const source = fileURLToPath(new URL('../../../../server/keeper/sandbox/descriptor.ts', import.meta.url));
const tsc = fileURLToPath(new URL('../../../../node_modules/.bin/tsc', import.meta.url));
let dir = '';

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'slotcast-canary-'));
  const options = ['--ignoreConfig', '--target', 'es2023', '--module', 'nodenext', '--skipLibCheck', '--types', 'node'];
  writeFileSync(join(dir, 'package.json'), '{"type":"module"}');
  // A bare Node process, as the gateway is, has no loader for TypeScript. Types are checked elsewhere.
  execFileSync(tsc, [source, '--outDir', dir, '--noCheck', ...options]);
  writeFileSync(join(dir, 'canary'), 'secret');
  writeFileSync(
    join(dir, 'gateway.js'),
    `import { spawnSync } from 'node:child_process';
     import { closeInheritedDescriptors } from './descriptor.js';
     const closed = process.argv[2] === 'close' ? closeInheritedDescriptors() : [];
     const { stdout } = spawnSync('cat', ['/proc/self/fd/77'], { encoding: 'utf8' });
     console.log(JSON.stringify({ closed, stdout }));`,
  );
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** A Node process that was started with a foreign descriptor 77, and what a child of it reads there. */
function gateway(mode: 'close' | 'leave'): { closed: number[]; stdout: string } {
  const script = 'exec 77<"$1"; exec "$2" "$3" "$4"';
  const args = ['-c', script, 'bash', join(dir, 'canary'), process.execPath, join(dir, 'gateway.js'), mode];
  return JSON.parse(execFileSync('bash', args, { encoding: 'utf8' }));
}

test('an inherited descriptor would reach a child', () => {
  expect(gateway('leave').stdout).toBe('secret');
});

test('a closed one does not, and Node goes on working', () => {
  const { closed, stdout } = gateway('close');
  expect(closed).toContain(77);
  expect(stdout).toBe('');
});
