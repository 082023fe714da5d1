// Out of the sandbox: what a command of a slot tries against the host, its gateway and other slots.
import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { until } from '../support/gateway.ts';
import { attack } from './attack.ts';
import type { User } from './catalogue.ts';
import { CANARY, CANARY_FD, target as startTarget, type Target, TOKEN, targets } from './gateway.ts';

const of = targets({ flags: ['--slots', '40'] });

async function run(as: User, command: string) {
  const slot = await (await of(as)).slot();
  try {
    return await slot.exec.run({ command });
  } finally {
    await slot.release();
  }
}

/** The same by the slot's terminal. */
async function runInTerminal(as: User, command: string): Promise<string> {
  const slot = await (await of(as)).slot();
  try {
    return (await slot.terminal.run({ command })).output;
  } finally {
    await slot.release();
  }
}

describe('A: what a command is', () => {
  attack('A01', async (as) => {
    const look = 'grep -E "^Cap(Eff|Bnd|Prm|Inh|Amb):" /proc/self/status';
    for (const said of [(await run(as, look)).stdout, await runInTerminal(as, look)]) {
      expect(said.match(/\t0{16}$/gm)).toHaveLength(5);
    }
  });

  attack('A02', async (as) => {
    const target = await of(as);
    const slot = await target.slot();
    await slot.exec.start({ command: 'exec -a in-an-exec sleep 60' });
    await slot.terminal.write('exec -a in-the-terminal sleep 60\r');
    for (const name of ['in-an-exec', 'in-the-terminal']) {
      await until(name, () => payloads(target, name).length > 0);
      for (const pid of payloads(target, name)) {
        const [, ...uids] = /^Uid:\s+(\d+)\s+(\d+)\s+(\d+)\s+(\d+)$/m.exec(read(`/proc/${pid}/status`)) ?? [];
        const expected = as === 'root' ? /^2100\d\d$/ : new RegExp(`^${statSync(target.dataDir).uid}$`);
        for (const uid of uids) expect(uid).toMatch(expected);
        expect(uids).toHaveLength(4);
      }
    }
    await slot.release();
  });

  attack('A04', async (as) => {
    const slot = await (await of(as)).slot();
    const { stdout } = await slot.exec.run({ argv: ['env'] });
    expect(
      stdout
        .trim()
        .split('\n')
        .map((line) => line.split('=')[0])
        .sort(),
    ).toEqual(['HOME', 'LANG', 'PATH', 'PWD', 'TERM']);
    await slot.release();
  });

  attack('A05', async (as) => {
    const look = 'tr "\\0" "\\n" </proc/1/environ; cat /proc/*/environ /proc/*/cmdline | tr "\\0" "\\n"';
    for (const said of [JSON.stringify(await run(as, look)), await runInTerminal(as, look)]) {
      for (const secret of [CANARY, TOKEN, 'GATEWAY_CANARY', 'SLOTCAST_TOKEN']) expect(said).not.toContain(secret);
    }
  });

  attack('A07', async (as) => {
    const look = `ls -1 /proc/self/fd; cat /proc/self/fd/${CANARY_FD} && echo leaked`;
    // 3 is ls reading the directory.
    expect((await run(as, look)).stdout).toBe('0\n1\n2\n3\n');
    expect(await runInTerminal(as, look)).toMatch(/^0\n1\n2\n3\ncat: .*No such file or directory\n$/);
  });

  attack('A36', async (as) => {
    const target = await of(as);
    const slot = await target.slot();
    const { stdout, stderr } = await slot.exec.run({
      command:
        'cp /usr/bin/id s; chmod 6755 s; ./s -u; ./s -ru; cp /usr/bin/id t; chown 0:0 t; su -c id; mount -t tmpfs x /workspace',
    });
    expect(stdout).toBe('1000\n1000\n');
    expect(stderr).toMatch(/chown.*(Invalid argument|Operation not permitted)/);
    expect(stderr).toMatch(/mount|su/);
    for (const name of ['s', 't']) {
      expect(statSync(join(target.dataDir, 'slots', slot.name, 'workspace', name)).uid).not.toBe(0);
    }
    await slot.release();
  });
});

describe('A: what a command sees', () => {
  attack('A03', async (as) => {
    const { exitCode, stderr } = await run(as, 'cat /etc/shadow');
    expect([exitCode, stderr]).toEqual([1, 'cat: /etc/shadow: No such file or directory\n']);
  });

  attack('A08', async (as) => {
    const tries = ['kernel/core_pattern', 'kernel/hostname', 'vm/overcommit_memory', 'net/ipv4/ip_forward'];
    const { stderr, exitCode } = await run(as, tries.map((name) => `(: >>/proc/sys/${name}) && echo open`).join('; '));
    expect(exitCode).not.toBe(0);
    expect(stderr.match(/Permission denied|Read-only file system/g)).toHaveLength(tries.length);
  });

  attack('A11', async (as) => {
    const { stderr, stdout } = await run(
      as,
      'for f in /usr/x /usr/bin/x /etc/x /etc/passwd /x /proc/sysrq-trigger; do (: >>$f) && echo "$f open"; done',
    );
    expect(stdout).toBe('');
    expect(stderr.match(/Read-only file system|Permission denied|No such file or directory/g)).toHaveLength(6);
  });

  attack('A12', async (as) => {
    const { stderr, stdout } = await run(as, 'echo a >/dev/x; echo a >/dev/null && echo null; ls /dev | tr "\\n" " "');
    expect(stderr).toContain('/dev/x: Read-only file system');
    expect(stdout).toMatch(/^null\n/);
    for (const device of ['mem', 'kmem', 'kvm', 'fuse', 'sda', 'vda', 'loop0'])
      expect(stdout).not.toContain(` ${device} `);
  });

  attack('A13', async (as) => {
    const { stdout, stderr } = await run(
      as,
      'ls -d /home /root /var/run/docker.sock /var/lib /boot /srv /mnt /opt /sys',
    );
    expect(stdout).toBe('');
    expect(stderr.match(/No such file or directory/g)).toHaveLength(9);
  });

  attack('A14', async (as) => {
    const { stdout } = await run(as, 'ls /proc | grep -E "^[0-9]+$" | wc -l; cat /proc/[0-9]*/comm');
    expect(Number(stdout.split('\n')[0])).toBeLessThan(10);
    expect(stdout).not.toContain('node');
  });

  attack('A37', async (as) => {
    const { stderr, exitCode } = await run(
      as,
      'ls /sys/fs/cgroup; echo 1 >/sys/fs/cgroup/cgroup.procs; echo 1 >/sys/fs/cgroup/notify_on_release',
    );
    expect(exitCode).not.toBe(0);
    expect(stderr.match(/No such file or directory/g)).toHaveLength(3);
  });

  attack('A35', async (as) => {
    const { stderr } = await run(as, 'mknod d b 254 0; mknod c c 1 1; ls d c');
    expect(stderr.match(/Operation not permitted/g)).toHaveLength(2);
  });

  attack('A41', async (as) => {
    const target = await of(as);
    const [slot, other] = [await target.slot(), await target.slot()];
    await other.file.write({ path: 'secret', data: 'of another slot' });
    const host = join(target.dataDir, 'slots', other.name, 'workspace', 'secret');
    const guesses = [
      `/workspace/../${other.name}/workspace/secret`,
      host,
      `/proc/1/root${host}`,
      `/proc/1/cwd/../${other.name}/secret`,
    ];
    const { stdout, stderr } = await slot.exec.run({ argv: ['cat', ...guesses] });
    expect(stdout).toBe('');
    expect(stderr.match(/No such file or directory|Permission denied/g)).toHaveLength(guesses.length);
    // What the mounts tell of the host leads nowhere, and belongs to the slot alone.
    const { stdout: mounts } = await slot.exec.run({ command: 'cut -d" " -f4,5 /proc/self/mountinfo' });
    const roots = mounts.split('\n').flatMap((line) => (line.includes('slotcast-') ? [line.split(' ')[0] ?? ''] : []));
    for (const root of roots)
      expect((await slot.exec.run({ argv: ['ls', root] })).stderr).toContain('No such file or directory');
    expect(statSync(join(target.dataDir, 'slots', other.name, 'workspace')).mode & 0o777).toBe(0o700);
    if (as === 'root')
      expect(statSync(host).uid).not.toBe(statSync(join(target.dataDir, 'slots', slot.name, 'workspace')).uid);
    await Promise.all([slot.release(), other.release()]);
  });

  attack('A43', async (as) => {
    const look =
      'echo "[$TMUX$STY$SSH_AUTH_SOCK$DBUS_SESSION_BUS_ADDRESS]"; find / -xdev -type s 2>/dev/null; cat /proc/net/unix | tail -n +2';
    expect((await run(as, look)).stdout).toBe('[]\n');
    expect(await runInTerminal(as, look)).toBe('[]\n');
  });

  attack('A45', async (as) => {
    const exec = await run(as, 'ls -la /run/slotcast; ls /run');
    expect(exec.stderr).toContain('No such file or directory');
    const said = await runInTerminal(as, 'cd /run/slotcast; (: >x); (: >>rc); rm -f *; ls | wc -l');
    expect(said.match(/Read-only file system|Permission denied/g)?.length).toBeGreaterThan(1);
  });
});

describe('A: whom a command reaches', () => {
  /** Connects from inside and says how that went. */
  const CONNECT = (address: string) =>
    `use Socket qw(:all); socket my $s, ${address.startsWith('pack_sockaddr_un') ? 'AF_UNIX' : address.includes('in6') ? 'AF_INET6' : 'AF_INET'}, SOCK_STREAM, 0; print connect($s, ${address}) ? "connected" : $!`;

  async function listening(where: string | number): Promise<Server> {
    const server = createServer((socket) => socket.destroy());
    await new Promise<void>((resolve) =>
      typeof where === 'string' ? server.listen(where, resolve) : server.listen(where, '127.0.0.1', resolve),
    );
    return server;
  }

  const connect = async (as: User, address: string) => {
    const slot = await (await of(as)).slot();
    await slot.file.write({ path: 'connect.pl', data: CONNECT(address) });
    const { stdout } = await slot.exec.run({ argv: ['perl', 'connect.pl'], timeoutMs: 10_000 });
    const { output } = await slot.terminal.run({ command: 'perl connect.pl', timeoutMs: 10_000 });
    await slot.release();
    expect(output).toBe(stdout);
    return stdout;
  };

  attack('A28', async (as) => {
    const name = `slotcast-probe-${process.pid}-${as}`;
    const server = await listening(`\0${name}`);
    expect(await connect(as, `pack_sockaddr_un("\\0${name}")`)).toBe('Connection refused');
    server.close();
  });

  attack('A29', async (as) => {
    const directory = mkdtempSync(join(tmpdir(), 'slotcast-socket-'));
    const path = join(directory, 's');
    const server = await listening(path);
    chmodSync(directory, 0o777);
    chmodSync(path, 0o777);
    expect(await connect(as, `pack_sockaddr_un("${path}")`)).toBe('No such file or directory');
    server.close();
    rmSync(directory, { recursive: true });
  });

  attack('A30', async (as) => {
    const target = await of(as);
    expect(await connect(as, `pack_sockaddr_in(${target.port}, inet_aton("127.0.0.1"))`)).toBe('Connection refused');
    expect(await connect(as, `pack_sockaddr_in6(${target.port}, Socket::inet_pton(AF_INET6, "::1"))`)).toMatch(
      /refused|unreachable|Cannot assign/,
    );
  });

  attack('A31', async (as) => {
    const { port } = await of(as);
    const own = Object.values(networkInterfaces())
      .flatMap((all) => all ?? [])
      .find(({ family, internal }) => family === 'IPv4' && !internal);
    // There is no way out of the sandbox, so nothing is sent.
    expect(await connect(as, `pack_sockaddr_in(${port}, inet_aton("${own?.address ?? '192.0.2.1'}"))`)).toBe(
      'Network is unreachable',
    );
  });

  attack('A32', async (as) => {
    for (const address of ['inet_aton("169.254.169.254")', 'pack("N", 2852039166)']) {
      expect(await connect(as, `pack_sockaddr_in(80, ${address})`)).toBe('Network is unreachable');
    }
    expect(await connect(as, 'pack_sockaddr_in6(80, Socket::inet_pton(AF_INET6, "fd00:ec2::254"))')).toBe(
      'Network is unreachable',
    );
    const { stdout } = await run(
      as,
      'getent hosts metadata.google.internal || echo unknown; tail -n +3 /proc/net/dev | cut -d: -f1',
    );
    expect(stdout.replaceAll(' ', '')).toBe('unknown\nlo\n');
  });

  attack('A46', async (as) => {
    const target = await of(as);
    // Numbers of the host's processes are none of the sandbox's, or another one's.
    const { stdout, stderr } = await run(as, `kill -0 ${process.pid}; kill -0 ${target.pid}; kill -9 -1; echo alive`);
    expect(stdout).toBe('alive\n');
    expect(stderr.match(/No such process|Operation not permitted/g)?.length).toBeGreaterThan(1);
    expect((await run(as, 'echo on')).stdout).toBe('on\n');
  });

  attack('A47', async (as) => {
    // Killing the first process of its own sandbox ends the command; it can't make up how.
    const ended = await run(as, 'echo before; kill -9 1; kill -TERM 1; kill -STOP 1; echo after');
    expect(ended).toMatchObject({ outcome: 'exited', exitCode: 0, stdout: 'before\nafter\n' });
  });

  attack('A48', async (as) => {
    const target = await of(as);
    const [slot, other] = [await target.slot(), await target.slot()];
    const key = 5_000_000 + process.pid;
    await slot.exec.start({ command: `perl -e 'shmget(${key}, 4096, 0666 | 01000) // die; sleep 60'` });
    const { stdout } = await other.exec.run({
      command: `perl -e 'print defined shmget(${key}, 4096, 0) ? "shared" : $!'; cat /proc/sysvipc/shm | wc -l`,
    });
    expect(stdout).toBe('No such file or directory1\n');
    await Promise.all([slot.release(), other.release()]);
  });
});

describe('A: when the sandbox fails', () => {
  attack('A38', async (as) => {
    const slot = await (await of(as)).slot();
    const said =
      'bwrap: No permissions to create new namespace, likely because the kernel does not allow non-privileged user namespaces';
    const ended = await slot.exec.run({ command: `echo once >>times; echo "${said}" | tee /dev/stderr; exit 1` });
    expect(ended).toMatchObject({
      outcome: 'exited',
      exitCode: 1,
      sandboxed: true,
      stdout: `${said}\n`,
      stderr: `${said}\n`,
    });
    expect((await slot.exec.run({ command: 'cat times' })).stdout).toBe('once\n');
    await slot.release();
  });

  attack(
    'A39',
    async (as) => {
      const directory = mkdtempSync(join(tmpdir(), 'slotcast-path-'));
      chmodSync(directory, 0o755);
      for (const name of ['prlimit', 'setpriv', 'sh', 'rm', 'du', 'nice', 'find', 'perl'])
        symlinkSync(`/usr/bin/${name}`, join(directory, name));
      try {
        await failing(as, directory, 'Install the package bubblewrap');
        const broken = '#!/bin/sh\necho "bwrap: No permissions to create a new namespace" >&2\nexit 1\n';
        writeFileSync(join(directory, 'bwrap'), broken, { mode: 0o755 });
        await failing(as, directory, 'user.max_user_namespaces');
      } finally {
        rmSync(directory, { recursive: true });
      }
    },
    60_000,
  );

  /** A gateway with that PATH says that it is not ready and why, and nothing runs. */
  async function failing(as: User, path: string, remedy: string): Promise<void> {
    const target = await startTarget(as, { env: { PATH: path } });
    try {
      const ready = await fetch(`${target.url}/readyz`);
      expect(ready.status).toBe(503);
      expect(await ready.text()).toContain(remedy);
      const slot = await target.slot();
      const fault = { fault: 'SANDBOX_UNAVAILABLE', message: expect.stringContaining(remedy) };
      await expect(slot.exec.run({ command: 'touch ran' })).rejects.toMatchObject(fault);
      await expect(slot.terminal.run({ command: 'touch ran' })).rejects.toMatchObject(fault);
      expect((await slot.file.list()).entries).toEqual([]);
    } finally {
      await target.close();
    }
  }
});

/** Descendants of the gateway that go by that name. */
function payloads(target: Target, name: string): string[] {
  const parents = new Map<string, string>();
  for (const pid of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    const parent = /\) \S (\d+)/.exec(read(`/proc/${pid}/stat`))?.[1];
    if (parent !== undefined) parents.set(pid, parent);
  }
  const below = (pid: string): boolean =>
    parents.get(pid) === String(target.pid) || (parents.has(pid) && below(parents.get(pid) ?? ''));
  return [...parents.keys()].filter((pid) => below(pid) && read(`/proc/${pid}/cmdline`).startsWith(`${name}\0`));
}

/** Empty for what is gone. */
function read(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return '';
  }
}
