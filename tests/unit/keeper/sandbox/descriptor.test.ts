import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { closeInheritedDescriptors } from '../../../../server/keeper/sandbox/descriptor.ts';

/** A Node process that was started with a foreign descriptor 77, and a child of it that tries to read from it. */
async function leak(close: boolean): Promise<string> {
  const dir = mkdtempSync(join(tmpdir(), 'slotcast-canary-'));
  writeFileSync(join(dir, 'canary'), 'secret');
  // The function alone, as it is: the child has no loader for TypeScript.
  const program = `
    import { closeSync, readdirSync, readFileSync } from 'node:fs';
    import { spawnSync } from 'node:child_process';
    const CLOSE_ON_EXEC = 0o2000000;
    ${survivesExec}
    ${closeInheritedDescriptors.toString().replaceAll(/__vite_ssr_import_\d+__\./g, '').replaceAll(/\(0,\s*(\w+)\)/g, '$1')}
    const closed = ${close} ? closeInheritedDescriptors() : [];
    const child = spawnSync('cat', ['/proc/self/fd/77'], { encoding: 'utf8' });
    console.log(JSON.stringify({ closed, read: child.stdout }));
  `;
  writeFileSync(join(dir, 'program.mjs'), program);
  const child = spawn('bash', ['-c', 'exec 77<"$1"; exec "$2" "$3"', 'bash', join(dir, 'canary'), process.execPath, join(dir, 'program.mjs')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const said = await text(child.stdout);
  rmSync(dir, { recursive: true });
  return said;
}
const survivesExec = /function survivesExec[\s\S]*?\n}/.exec(
  readFileSync(new URL('../../../../server/keeper/sandbox/descriptor.ts', import.meta.url), 'utf8'),
)?.[0].replaceAll(': number', '').replaceAll(': boolean', '');
