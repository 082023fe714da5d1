// Out of the sandbox: what a command of a slot tries against the host, its gateway and other slots.
import { describe, expect } from 'vitest';
import { attack } from './attack.ts';
import type { User } from './catalogue.ts';
import { CANARY_FD, targets } from './gateway.ts';

const of = targets();

async function run(as: User, command: string) {
  const slot = await (await of(as)).slot();
  try {
    return await slot.exec.run({ command });
  } finally {
    await slot.release();
  }
}

describe('A', () => {
  attack('A01', async (as) => {
    const { stdout } = await run(as, 'grep -E "^Cap(Eff|Bnd|Prm|Inh|Amb):" /proc/self/status');
    expect(stdout.match(/\t0{16}$/gm)).toHaveLength(5);
  });

  attack('A03', async (as) => {
    const { exitCode, stderr } = await run(as, 'cat /etc/shadow');
    expect([exitCode, stderr]).toEqual([1, 'cat: /etc/shadow: No such file or directory\n']);
  });

  attack('A07', async (as) => {
    const { stdout } = await run(as, `ls /proc/self/fd; cat /proc/self/fd/${CANARY_FD} && echo leaked`);
    expect(stdout).toBe('0\n1\n2\n3\n'); // 3 is ls reading the directory.
  });
});
