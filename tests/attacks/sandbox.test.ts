// Out of the sandbox: users, files and processes of the host, as a command and the slot's terminal find them.
import { mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { until } from '../support/gateway.ts';
import { attack } from './attack.ts';
import type { User } from './catalogue.ts';
import { CANARY, CANARY_FD, TOKEN, target, targets } from './gateway.ts';
import { errnoName, insides, onHost, perl, sandboxed } from './inside.ts';
import { call } from './machine.ts';

const of = targets();
const inside = insides(of);
/** First user id of slots under root. */
const UID_BASE = 210_000;

/** Whose the sandboxes of that gateway have to be. */
const isSlotUser = (as: User, uid: number): boolean => (as === 'root' ? uid >= UID_BASE : uid > 0);

const READ_ONLY = 'Read-only file system';
const ABSENT = 'No such file or directory';

describe('as whom', () => {
  attack('A01', async (as) => {
    const it = await inside(as);
    for (const said of await it.both('grep -E "^Cap(Eff|Bnd|Prm|Inh|Amb):" /proc/self/status')) {
      expect(said.match(/\t0{16}$/gm)).toHaveLength(5);
    }
  });

  attack('A02', async (as) => {
    const { slot, target } = await inside(as);
    await slot.terminal.start();
    await slot.terminal.write('sleep 1000\r');
    const running = await slot.exec.start({ command: 'sleep 1001 & sleep 1001' });
    const names = () => sandboxed(target.pid).map(({ status }) => status['Name']);
    await until('three sleep', () => names().filter((name) => name === 'sleep').length === 3);
    const found = sandboxed(target.pid);
    for (const { status } of found) {
      const ids = [...(status['Uid'] ?? '0').split('\t'), ...(status['Gid'] ?? '0').split('\t')].map(Number);
      expect(ids.filter((id) => !isSlotUser(as, id))).toEqual([]);
      expect(
        status['Groups']
          ?.trim()
          .split(' ')
          .filter((group) => group === '0'),
      ).toEqual([]);
    }
    await slot.terminal.keys('C-c');
    await running.signal('KILL');
  });

  attack('A36', async (as) => {
    const it = await inside(as);
    await it.exec('cp /usr/bin/id s; chmod 6755 s; rm -f t; cp /usr/bin/touch st; chmod 6755 st; ./st t');
    expect(await it.both('./s -u; ./s -ru; grep NoNewPrivs /proc/self/status')).toEqual(
      Array(2).fill('1000\n1000\nNoNewPrivs:\t1\n'),
    );
    for (const said of await it.both('su -c id </dev/null; mount -t tmpfs x /tmp; passwd -S root')) {
      expect(said).not.toContain('uid=0');
      expect(said).toMatch(/must be superuser|permission denied|Operation not permitted/);
    }
    const workspace = join(it.home, 'workspace');
    for (const name of ['s', 'st', 't']) expect(statSync(join(workspace, name)).uid).toBe(statSync(workspace).uid);
    expect(isSlotUser(as, statSync(workspace).uid)).toBe(true);
    // Nobody else of the host gets at a setuid file that a payload left there.
    expect(statSync(workspace).mode & 0o777).toBe(0o700);
  });

  attack('A56', async (as) => {
    const it = await inside(as);
    for (const said of await it.both('echo "0 0 1" > /proc/self/uid_map; echo allow > /proc/self/setgroups')) {
      expect(said.match(/Operation not permitted|Permission denied/g)).toHaveLength(2);
    }
    await it.exec('cp /usr/bin/id capable; touch fixed');
    // VFS_CAP_REVISION_2, effective, CAP_SYS_ADMIN.
    const value = 'my $v = pack("V5", 0x02000001, 1 << 21, 0, 0, 0); my ($f, $n) = ("capable", "security.capability");';
    expect((await it.both(perl(value + call('setxattr', '$f', '$n', '$v', 20, 0)))).map(errnoName)).toEqual(
      Array(2).fill('EPERM'),
    );
    // FS_IOC_SETFLAGS, FS_IMMUTABLE_FL.
    const immutable = `open my $f, "<", "fixed"; my $v = pack "q", 16; print ioctl($f, 0x40086602, $v) ? "done" : $!+0;`;
    expect((await it.both(perl(immutable))).map(errnoName)).toEqual(Array(2).fill('EPERM'));
  });
});

describe('files of the host', () => {
  attack('A03', async (as) => {
    const { exitCode, stderr } = await (await inside(as)).slot.exec.run({ argv: ['cat', '/etc/shadow'] });
    expect([exitCode, stderr]).toEqual([1, `cat: /etc/shadow: ${ABSENT}\n`]);
    expect(await (await inside(as)).terminal('cat /etc/shadow')).toBe(`cat: /etc/shadow: ${ABSENT}\n`);
  });

  attack('A08', async (as) => {
    const it = await inside(as);
    const files = ['kernel/core_pattern', 'kernel/yama/ptrace_scope', 'user/max_user_namespaces', 'vm/drop_caches'];
    for (const file of files.filter((name) => onHost(`ls /proc/sys/${name}`) === `/proc/sys/${name}\n`)) {
      for (const said of await it.both(`: >> /proc/sys/${file}`)) {
        expect(said).toMatch(/Read-only file system|Permission denied/);
      }
    }
  });

  attack('A09', async (as) => {
    const it = await inside(as);
    // MS_REMOUNT, MS_BIND.
    const remount = `my ($d, $n) = ("/usr", "none"); ${call('mount', '$n', '$d', '$n', 0x1020, 0)}`;
    expect((await it.both(perl(remount))).map(errnoName)).toEqual(['EPERM', 'EPERM']);
    const { exitCode } = await it.slot.exec.run({ command: 'mount -o remount,bind,rw /usr' });
    expect(exitCode).not.toBe(0);
    expect(await it.both('touch /usr/slotcast-probe')).toEqual(
      Array(2).fill(`touch: cannot touch '/usr/slotcast-probe': ${READ_ONLY}\n`),
    );
  });

  attack('A11', async (as) => {
    const it = await inside(as);
    for (const said of await it.both('touch /usr/x /etc/x /x /run/x /var/x /etc/passwd')) {
      const lines = said.trim().split('\n');
      expect(lines).toHaveLength(6);
      for (const line of lines) expect(line).toContain(READ_ONLY);
    }
  });

  attack('A12', async (as) => {
    const it = await inside(as);
    for (const said of await it.both('echo a > /dev/x; echo b > /dev/null && echo works')) {
      expect(said).toContain(`/dev/x: ${READ_ONLY}`);
      expect(said).toContain('works\n');
    }
    expect(
      await it.exec(
        'for f in /dev/* /dev/*/*; do if [ ! -L $f ] && { [ -b $f ] || [ -c $f ]; }; then echo "${f#/dev/}"; fi; done',
      ),
    ).toBe('full\nnull\nrandom\ntty\nurandom\nzero\npts/ptmx\n');
  });

  attack('A13', async (as) => {
    const it = await inside(as);
    const places = ['/home', '/root', '/run/docker.sock', '/var/run', '/var/lib', '/srv', '/boot', it.target.dataDir];
    for (const said of await it.both(`ls -d ${places.join(' ')}`)) {
      const lines = said.trim().split('\n');
      expect(lines).toHaveLength(places.length);
      for (const line of lines) expect(line).toContain(ABSENT);
    }
  });

  attack('A35', async (as) => {
    const it = await inside(as);
    for (const said of await it.both('mknod d b 254 0; mknod /tmp/c c 1 3; rm -f f; mknod f p && echo fifo')) {
      expect(said).toBe('mknod: d: Operation not permitted\nmknod: /tmp/c: Operation not permitted\nfifo\n');
    }
  });

  attack('A37', async (as) => {
    const it = await inside(as);
    expect(await it.both('ls /sys')).toEqual(Array(2).fill(`ls: cannot access '/sys': ${ABSENT}\n`));
    const mountIt = `my ($s, $d, $t) = ("none", "/tmp", "cgroup2"); ${call('mount', '$s', '$d', '$t', 0, 0)}`;
    expect((await it.both(perl(mountIt))).map(errnoName)).toEqual(['EPERM', 'EPERM']);
  });

  attack('A52', async (as) => {
    const it = await inside(as);
    const files = ['/proc/kcore', '/proc/sysrq-trigger', '/proc/kmsg', '/dev/mem', '/dev/kmsg', '/dev/port'];
    // Opened and nothing more: on a host on which it succeeds, nothing happens.
    const tried = files.map((file) => `{ : <${file}; } 2>&1; { : >>${file}; } 2>&1`).join('; ');
    for (const said of await it.both(tried)) {
      const lines = said.trim().split('\n');
      expect(lines).toHaveLength(2 * files.length);
      for (const line of lines)
        expect(line).toMatch(/Permission denied$|Read-only file system$|No such file or directory$/);
    }
  });

  attack('A60', async (as) => {
    const it = await inside(as);
    // A bus error has a core dump by default; the shell around it says so when there was one.
    const said = await it.both(
      'mkdir -p dump; cd dump; ulimit -c unlimited; bash -c "kill -BUS \\$\\$"; ls; cd ..; ulimit -c',
    );
    for (const one of said) {
      expect(one).toMatch(/cannot modify limit/);
      expect(one).toMatch(/Bus error/);
      expect(one).not.toMatch(/core dumped|^core/m);
      expect(one).toMatch(/^0$/m);
    }
  });
});

describe('what the gateway has', () => {
  attack('A04', async (as) => {
    const { slot } = await inside(as);
    const { stdout } = await slot.exec.run({ argv: ['env'] });
    const names = (text: string) => [...text.matchAll(/^(\w+)=/gm)].map(([, name]) => name).sort();
    expect(names(stdout)).toEqual(['HOME', 'LANG', 'PATH', 'PWD', 'TERM']);
    // These three are bash's own.
    const { output } = await slot.terminal.run({ command: 'env' });
    expect(names(output).filter((name) => !['OLDPWD', 'SHLVL', '_'].includes(name ?? ''))).toEqual(names(stdout));
    expect(stdout + output).not.toContain(CANARY);
    expect(stdout + output).not.toContain(TOKEN);
  });

  attack('A05', async (as) => {
    const it = await inside(as);
    for (const said of await it.both(
      "tr '\\0' '\\n' </proc/1/environ; grep -lsaE 'GATEWAY_CANARY|SLOTCAST_TOKEN' /proc/[0-9]*/environ",
    )) {
      expect(said).toMatch(/\/proc\/1\/environ: Permission denied/);
      expect(said).not.toMatch(/^\/proc/m);
    }
    if (process.getuid?.() !== 0) return;
    for (const { pid } of sandboxed(it.target.pid)) {
      const environment = readFileSync(`/proc/${pid}/environ`, 'utf8');
      expect(environment).not.toContain('CANARY');
      expect(environment).not.toContain(TOKEN);
    }
  });

  attack('A07', async (as) => {
    const it = await inside(as);
    const said = await it.both(`ls -1 /proc/self/fd; cat /proc/self/fd/${CANARY_FD} && echo leaked`);
    // 3 is ls reading the directory.
    for (const one of said) expect(one.replace(/^cat: .*\n/m, '')).toBe('0\n1\n2\n3\n');
    for (const one of said) expect(one).toContain(`/proc/self/fd/${CANARY_FD}: ${ABSENT}`);
  });

  attack('A58', async (as) => {
    const it = await inside(as);
    const hostName = onHost('uname -n').trim();
    for (const said of await it.both('uname -n; hostname; cat /proc/sys/kernel/hostname /etc/hostname')) {
      expect(said).toMatch(/^sandbox\nsandbox\nsandbox\ncat: \/etc\/hostname/);
      if (hostName !== 'sandbox') expect(said).not.toContain(hostName);
    }
    const seen = await it.both("tr '\\0' ' ' </proc/1/cmdline; cat /proc/1/comm /etc/passwd /etc/group /etc/hosts");
    for (const said of seen) {
      expect(said).toMatch(/slotcast/);
      expect(said).not.toContain(it.target.dataDir);
      expect(said).not.toMatch(/root:/);
    }
    for (const said of await it.both('cat /proc/net/unix /proc/net/tcp')) {
      expect(said.trim().split('\n')).toHaveLength(2);
    }
  });

  attack('A50', async (as) => {
    const it = await inside(as);
    expect(await it.exec('ls /run/slotcast')).toBe(`ls: cannot access '/run/slotcast': ${ABSENT}\n`);
    const said = await it.terminal(
      'echo x > /run/slotcast/rc; echo x >> "$__sc"; rm -f "$__sc"; chmod 777 /run/slotcast; ls "$__sc" | wc -l; cat /run/slotcast/rc',
    );
    expect(said.match(/Read-only file system|Permission denied/g)).toHaveLength(4);
    // It was the script of this run, and still is there; the rc with the nonce is not.
    expect(said).toMatch(/^1$/m);
    expect(said).toMatch(/rc: No such file or directory/);
    const spool = join(it.home, 'spool');
    await until('an empty spool', () => readdirSync(spool).length === 0);
  });

  attack('A44', async (as) => {
    for (const flags of [[], ['--sandbox', 'none']]) await startTerminalWith(as, flags);
  });
});

/** A module of Perl, and a program in PATH, that tell as whom they run, and in what. */
async function startTerminalWith(as: User, flags: readonly string[]): Promise<void> {
  const started = await target(as, { flags });
  try {
    const slot = await started.slot();
    const says = 'open my $f, ">>", "$ENV{HOME}/acted"; print $f "$$ $<\\n"; close $f; 1;';
    await slot.file.write({ path: 'lib/Act.pm', data: `package Act; ${says}` });
    const program = '#!/bin/sh\necho "$0 $(/usr/bin/id -u)" >> /workspace/acted\nexec /usr/bin/"${0##*/}" "$@"\n';
    const home = flags.length === 0 ? '/workspace' : join(started.dataDir, 'slots', slot.name, 'workspace');
    for (const name of ['setpriv', 'prlimit', 'bwrap', 'perl']) {
      await slot.file.write({ path: `bin/${name}`, data: program.replace('/workspace', home), mode: 0o755 });
    }
    const env = {
      PERL5OPT: '-mAct',
      PERL5LIB: '/workspace/lib',
      PATH: '/workspace/bin:/usr/bin:/bin',
      HOME: '/workspace',
    };
    await slot.terminal.start({ env });
    expect(await slot.exec.run({ argv: ['/bin/true'], env })).toMatchObject({ exitCode: 0 });
    const acted = () => slot.exec.run({ command: 'cat acted' });
    expect(await acted()).toMatchObject({ stdout: '' });
    // The control: in the shell, they act.
    await slot.terminal.run({ command: 'perl -e 1' });
    const { stdout } = await acted();
    expect(stdout).toMatch(/bin\/perl \d+\n\d+ \d+\n$/);
    expect(stdout).not.toMatch(/ 0$/m);
    expect(stdout).not.toMatch(/^1 /m);
  } finally {
    await started.close();
  }
}

describe('other slots and processes', () => {
  attack('A14', async (as) => {
    const it = await inside(as);
    for (const said of await it.both('for p in /proc/[0-9]*; do echo "${p#/proc/} $(cat $p/comm)"; done')) {
      const lines = said
        .trim()
        .split('\n')
        .filter((line) => !/ (?:cat)?$/.test(line));
      expect(lines[0]).toBe('1 slotcast');
      expect(lines.length).toBeLessThan(5);
      for (const line of lines) expect(line).toMatch(/ (?:slotcast|bash)$/);
    }
  });

  attack('A41', async (as) => {
    const it = await inside(as);
    const other = await (await of(as)).slot();
    await other.file.write({ path: 'secret', data: 'of the other slot' });
    const host = join(it.target.dataDir, 'slots', other.name, 'workspace');
    const shown = (await it.exec("grep ' /workspace ' /proc/self/mountinfo | cut -d' ' -f4")).trim();
    const guessed = shown.replace(it.slot.name, other.name);
    const paths = [
      `../${other.name}/workspace/secret`,
      `${host}/secret`,
      `${guessed}/secret`,
      `/proc/1/root${host}/secret`,
    ];
    for (const said of await it.both(`cat ${paths.join(' ')}`)) {
      const lines = said.trim().split('\n');
      expect(lines).toHaveLength(4);
      for (const line of lines) expect(line).toMatch(/No such file or directory|Permission denied/);
    }
    expect(await (await other.exec.run({ command: 'cat secret' })).stdout).toBe('of the other slot');
    expect(statSync(host).mode & 0o777).toBe(0o700);
    if (as === 'root') expect(statSync(host).uid).not.toBe(statSync(join(it.home, 'workspace')).uid);
    await other.release();
  });

  attack('A43', async (as) => {
    const it = await inside(as);
    mkdirSync(join(it.target.dataDir, 'tmux-0'), { recursive: true });
    for (const said of await it.both(
      'find / -xdev -type s 2>/dev/null; find /tmp /run /var/tmp -type s 2>/dev/null; echo "[$TMUX$STY]"',
    )) {
      expect(said).toBe('[]\n');
    }
  });

  attack('A49', async (as) => {
    const target = await of(as);
    const first = await target.slot();
    const leave = perl(
      'socket my $s, 1, 1, 0; bind $s, pack("S a*", 1, "/tmp/left") or die $!; open my $f, ">", "/dev/shm/left"; open $f, ">", "/var/tmp/file";',
    );
    expect(await first.exec.run({ command: `${leave}; ls /tmp` })).toMatchObject({
      stdout: 'file\nleft\n',
      stderr: '',
    });
    await first.release();
    const next = await target.slot({ slot: first.name });
    expect(next.name).toBe(first.name);
    const { stdout } = await next.exec.run({ command: 'ls -A /tmp /dev/shm /workspace' });
    expect(stdout).toBe('/dev/shm:\n\n/tmp:\n\n/workspace:\n');
    await next.release();
  });
});
