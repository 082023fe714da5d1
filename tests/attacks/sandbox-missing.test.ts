// A sandbox that does not start, or seems not to: nothing may run outside of one, whatever bwrap does or a payload prints.
import { chmodSync, existsSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, describe, expect } from 'vitest';
import { remote } from '../support/remote.ts';
import { attack } from './attack.ts';
import type { User } from './catalogue.ts';
import { type Target, target, targets } from './gateway.ts';
import { insides } from './inside.ts';

const inside = insides(targets());

describe('a payload that speaks like bwrap', () => {
  attack('A38', async (as) => {
    const { slot } = await inside(as);
    const lines = [
      'bwrap: No permissions to create new namespace, likely because the kernel does not allow non-privileged user namespaces.',
      'bwrap: Creating new namespace failed: Operation not permitted',
      'bwrap: execvp /usr/bin/perl: No such file or directory',
      '{ "exit-code": 0 }',
    ];
    const command = `echo x >> ran; for f in 1 2; do printf '%s\\n' ${lines.map((line) => `'${line}'`).join(' ')} >&$f; done; exit 1`;
    const said = `${lines.join('\n')}\n`;
    expect(await slot.exec.run({ command })).toMatchObject({
      ...{ outcome: 'exited', exitCode: 1, stdout: said, stderr: said, sandboxed: true },
    });
    expect(await slot.terminal.run({ command: `(${command})` })).toMatchObject({ outcome: 'exited', exitCode: 1 });
    // Once each, and the next one is in a sandbox too.
    const next = await slot.exec.run({ command: 'cat ran; grep Seccomp: /proc/self/status; ls /root' });
    expect(next).toMatchObject({ sandboxed: true, stdout: 'x\nx\nSeccomp:\t2\n', exitCode: 2 });
  });
});

const REAL = remote === null ? findCommand('bwrap') : '';
const NO_NAMESPACES =
  'bwrap: No permissions to create new namespace, likely because the kernel does not allow non-privileged user namespaces. See <https://deb.li/bubblewrap> or <file:///usr/share/doc/bubblewrap/README.Debian.gz>.';

interface Broken {
  readonly what: string;
  /** The text of bwrap; null when there is none. */
  readonly script: string | null;
  /** What the operator is told to do. */
  readonly remedy: RegExp;
}

const BROKEN: readonly Broken[] = [
  { what: 'none', script: null, remedy: /Install the package bubblewrap/ },
  {
    what: 'no namespaces',
    script: `echo '${NO_NAMESPACES}' >&2; exit 1`,
    remedy: /user\.max_user_namespaces/,
  },
  { what: 'silent', script: 'exit 0', remedy: /slotcast doctor/ },
  // The real one, that gets another filter than ours: one of 7 bytes, then one with an instruction that no kernel knows.
  { what: 'a cut filter', script: `exec 5<<<''; exec ${REAL} "$@"`, remedy: /seccomp/i },
  {
    what: 'a wrong filter',
    script: `exec 5< <(printf '\\377\\377\\0\\0\\0\\0\\0\\0'); exec ${REAL} "$@"`,
    remedy: /seccomp/i,
  },
];

describe('a bwrap that is', () => {
  const directories: string[] = [];
  afterAll(() => {
    for (const directory of directories) rmSync(directory, { recursive: true });
  });

  /** A PATH of its own with that bwrap; everything else is the host's. */
  function pathWith(script: string | null): string {
    const directory = mkdtempSync(join(tmpdir(), 'slotcast-path-'));
    directories.push(directory);
    chmodSync(directory, 0o755);
    for (const name of ['bash', 'prlimit', 'sh', 'test']) symlinkSync(findCommand(name), join(directory, name));
    if (script !== null) writeFileSync(join(directory, 'bwrap'), `#!/bin/bash\n${script}\n`, { mode: 0o755 });
    return directory;
  }

  attack('A39', async (as) => {
    await Promise.all(BROKEN.map((broken) => neverReady(as, broken, pathWith(broken.script))));
  });

  attack('A39', async (as) => {
    // It works at the start and is broken afterwards.
    const flag = join(mkdtempSync(join(tmpdir(), 'slotcast-flag-')), 'broken');
    directories.push(join(flag, '..'));
    chmodSync(join(flag, '..'), 0o755);
    const script = `if [ -e ${flag} ]; then echo '${NO_NAMESPACES}' >&2; exit 1; fi; exec ${REAL} "$@"`;
    const later = await target(as, { env: { PATH: pathWith(script) } });
    try {
      expect((await fetch(`${later.url}/readyz`)).status).toBe(200);
      writeFileSync(flag, '');
      await nothingRuns(later, /user\.max_user_namespaces/);
      rmSync(flag);
      const slot = await later.slot();
      expect(await slot.exec.run({ command: 'echo works' })).toMatchObject({ stdout: 'works\n', sandboxed: true });
    } finally {
      await later.close();
    }
  });
});

attack('A39', async (as) => {
  // Where the operator wants it so, there is not even a gateway.
  const path = mkdtempSync(join(tmpdir(), 'slotcast-path-'));
  try {
    chmodSync(path, 0o755);
    for (const name of ['bash', 'prlimit', 'sh', 'test']) symlinkSync(findCommand(name), join(path, name));
    const refused = target(as, { flags: ['--require-sandbox'], env: { PATH: path } });
    await expect(refused).rejects.toThrow(/it does not start/);
  } finally {
    rmSync(path, { recursive: true });
  }
});

async function neverReady(as: User, { what, remedy }: Broken, path: string): Promise<void> {
  const broken = await target(as, { env: { PATH: path } });
  try {
    const ready = await fetch(`${broken.url}/readyz`);
    const text = await ready.text();
    expect([what, ready.status]).toEqual([what, 503]);
    expect(text).toMatch(remedy);
    expect(text).not.toContain(broken.dataDir);
    expect(broken.printed.stderr).toMatch(remedy);
    await nothingRuns(broken, remedy);
  } finally {
    await broken.close();
  }
}

async function nothingRuns(broken: Target, remedy: RegExp): Promise<void> {
  const slot = await broken.slot();
  const unavailable = { fault: 'SANDBOX_UNAVAILABLE', message: expect.stringMatching(remedy) };
  await expect(slot.exec.run({ command: 'touch ran' })).rejects.toMatchObject(unavailable);
  await expect(slot.exec.start({ command: 'touch ran' })).rejects.toMatchObject(unavailable);
  await expect(slot.terminal.run({ command: 'touch ran' })).rejects.toMatchObject(unavailable);
  const workspace = join(broken.dataDir, 'slots', slot.name, 'workspace');
  expect([existsSync(workspace), existsSync(join(workspace, 'ran'))]).toEqual([true, false]);
  await slot.release();
}

function findCommand(name: string): string {
  const found = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/bin', '/bin']
    .map((directory) => join(directory, name))
    .find((file) => existsSync(file));
  if (found === undefined) throw new Error(`there is no ${name}`);
  return found;
}
