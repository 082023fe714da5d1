// Out of the sandbox by system calls: what the filter has to stop, each by its number, from a command and from the terminal.
import { describe, expect } from 'vitest';
import type { Slot } from '../../client/index.ts';
import { attack, attackOnce } from './attack.ts';
import type { AttackId } from './catalogue.ts';
import { targets } from './gateway.ts';

const of = targets({ flags: ['--slots', '40'] });
const isX64 = process.arch === 'x64';

/** Name, number on x86_64 and on aarch64 (null: not there), arguments, and what it has to answer. */
type Row = readonly [name: string, x64: number | null, arm64: number | null, args: readonly number[], errno: string];

const NEW_USER = 0x10000000;
const ROWS: Readonly<Partial<Record<AttackId, readonly Row[]>>> = {
  A09: [
    ['mount', 165, 40, [0, 0, 0, 0x1021, 0], 'EPERM'],
    ['umount2', 166, 39, [0, 0], 'EPERM'],
    ['pivot_root', 155, 41, [0, 0], 'EPERM'],
  ],
  A16: [
    ['ptrace', 101, 117, [0x4206, 1, 0, 0], 'EPERM'],
    ['process_vm_readv', 310, 270, [1, 0, 0, 0, 0, 0], 'EPERM'],
    ['process_vm_writev', 311, 271, [1, 0, 0, 0, 0, 0], 'EPERM'],
    ['pidfd_getfd', 438, 438, [0, 0, 0], 'EPERM'],
  ],
  A17: [
    ['unshare', 272, 97, [NEW_USER], 'EPERM'],
    ['clone', 56, 220, [NEW_USER | 17, 0, 0, 0, 0], 'EPERM'],
    ['setns', 308, 268, [0, 0], 'EPERM'],
  ],
  A18: [['clone3', 435, 435, [0, 88], 'ENOSYS']],
  A23: [
    ['add_key', 248, 217, [0, 0, 0, 0, 0], 'EPERM'],
    ['request_key', 249, 218, [0, 0, 0, 0], 'EPERM'],
    ['keyctl', 250, 219, [0, -3, 0, 0, 0], 'EPERM'],
  ],
  A24: [
    ['io_uring_setup', 425, 425, [8, 0], 'EPERM'],
    ['io_uring_enter', 426, 426, [0, 0, 0, 0, 0, 0], 'EPERM'],
    ['io_uring_register', 427, 427, [0, 0, 0, 0], 'EPERM'],
  ],
  A26: [
    ['open_tree', 428, 428, [-100, 0, 0], 'ENOSYS'],
    ['move_mount', 429, 429, [0, 0, 0, 0, 0], 'ENOSYS'],
    ['fsopen', 430, 430, [0, 0], 'ENOSYS'],
    ['fsmount', 432, 432, [0, 0, 0], 'ENOSYS'],
    ['mount_setattr', 442, 442, [0, 0, 0, 0, 0], 'ENOSYS'],
  ],
  A27: [['open_by_handle_at', 304, 265, [-100, 0, 0], 'EPERM']],
  A33: [
    ['socket(AF_VSOCK)', 41, 198, [40, 1, 0], 'EAFNOSUPPORT'],
    ['socket(AF_PACKET)', 41, 198, [17, 3, 0], 'EAFNOSUPPORT'],
    ['socket(AF_ALG)', 41, 198, [38, 5, 0], 'EAFNOSUPPORT'],
    ['socketpair(AF_VSOCK)', 53, 199, [40, 1, 0, 0], 'EAFNOSUPPORT'],
    ['socketpair(AF_BLUETOOTH)', 53, 199, [31, 1, 0, 0], 'EAFNOSUPPORT'],
  ],
  A42: [['syslog', 103, 116, [3, 0, 0], 'EPERM']],
  A44: [
    ['bpf', 321, 280, [0, 0, 0], 'EPERM'],
    ['perf_event_open', 298, 241, [0, 0, -1, -1, 0], 'EPERM'],
    ['userfaultfd', 323, 282, [0], 'EPERM'],
    ['kexec_load', 246, 104, [0, 0, 0, 0], 'EPERM'],
    ['init_module', 175, 105, [0, 0, 0], 'EPERM'],
    ['finit_module', 313, 273, [0, 0, 0], 'EPERM'],
    ['delete_module', 176, 106, [0, 0], 'EPERM'],
  ],
};

/** Prints `name errno` for each, where 0 is that it went through. */
function script(rows: readonly Row[]): string {
  const calls = rows.flatMap(([name, x64, arm64, args]) => {
    const number = isX64 ? x64 : arm64;
    return number === null ? [] : [`$! = 0; my $r = syscall(${[number, ...args].join(', ')}); report("${name}", $r)`];
  });
  return `use Errno; sub report { my ($n, $r) = @_; my ($e) = grep { $!{$_} } "EPERM", "ENOSYS", "EAFNOSUPPORT"; print "$n ", $r >= 0 ? "done" : $e // ($!+0), "\\n" } ${calls.map((call) => `{ ${call} }`).join(' ')}`;
}

async function perl(slot: Slot, text: string): Promise<{ exec: string; terminal: string }> {
  await slot.file.write({ path: 'attack.pl', data: text });
  const exec = (await slot.exec.run({ argv: ['perl', 'attack.pl'] })).stdout;
  const terminal = (await slot.terminal.run({ command: 'perl attack.pl' })).output;
  return { exec, terminal };
}

describe('A: system calls', () => {
  for (const [id, rows] of Object.entries(ROWS) as [AttackId, readonly Row[]][]) {
    attack(id, async (as) => {
      const slot = await (await of(as)).slot();
      const { exec, terminal } = await perl(slot, script(rows));
      const wanted = rows.map(([name, , , , errno]) => `${name} ${errno}\n`).join('');
      expect({ exec, terminal }).toEqual({ exec: wanted, terminal: wanted });
      await slot.release();
    });
  }

  for (const [id, request] of [
    ['A20', '0x5412'],
    ['A22', '0x541C'],
  ] as const) {
    attack(id, async (as) => {
      const slot = await (await of(as)).slot();
      // Also with bits above the 32 that the kernel looks at.
      const tries = [request, `(${request} | (1 << 40))`].map(
        (number) =>
          `for my $c (split //, "touch owned\\n") { $! = 0; my $r = syscall(${isX64 ? 16 : 29}, fileno $t, ${number}, $c); print $r < 0 ? $!+0 : "done", "\\n" }`,
      );
      await slot.file.write({
        path: 'attack.pl',
        data: `open my $t, "+<", "/dev/tty" or die "no tty: $!"; ${tries.join(' ')}`,
      });
      const { output } = await slot.terminal.run({ command: 'perl attack.pl' });
      expect(new Set(output.trim().split('\n'))).toEqual(new Set(['1']));
      await slot.terminal.run({ command: 'true' });
      expect((await slot.exec.run({ command: 'ls' })).stdout).toBe('attack.pl\n');
      await slot.release();
    });
  }

  attackOnce('A19', async ({ skip }) => {
    skip(!isX64, 'only x86_64 has such calls');
    const slot = await (await of(process.getuid?.() === 0 ? 'root' : 'user')).slot();
    const x32 = 'print syscall(39 | 0x40000000) < 0 ? "$!" : "done"';
    expect((await slot.exec.run({ argv: ['perl', '-e', x32] })).stdout).toBe('Function not implemented');
    await slot.file.write({ path: 'i386', data: i386Program().toString('base64'), encoding: 'base64', mode: 0o755 });
    // Outside of a sandbox it ends with 0.
    expect(await slot.exec.run({ argv: ['./i386'] })).toMatchObject({ outcome: 'signaled', signal: 'SYS' });
    await slot.release();
  });
});

/** A program of 16 bytes: getpid by the 32-bit gate, then exit(0) by the proper one. */
function i386Program(): Buffer {
  const code = Buffer.from('b814000000cd8031ffb83c0000000f05', 'hex');
  const at = 0x400000n;
  const file = Buffer.alloc(120 + code.length);
  file.write('\x7fELF\x02\x01\x01', 'latin1');
  file.writeUInt16LE(2, 16);
  file.writeUInt16LE(62, 18);
  file.writeUInt32LE(1, 20);
  file.writeBigUInt64LE(at + 120n, 24);
  file.writeBigUInt64LE(64n, 32);
  file.writeUInt16LE(64, 52);
  file.writeUInt16LE(56, 54);
  file.writeUInt16LE(1, 56);
  file.writeUInt32LE(1, 64);
  file.writeUInt32LE(5, 68);
  file.writeBigUInt64LE(at, 80);
  file.writeBigUInt64LE(at, 88);
  file.writeBigUInt64LE(BigInt(file.length), 96);
  file.writeBigUInt64LE(BigInt(file.length), 104);
  file.writeBigUInt64LE(0x1000n, 112);
  code.copy(file, 120);
  return file;
}
