// Out of the sandbox by sockets: those of the host, of its network and of the gateway. Nothing here goes to an address but loopback.
import { createServer, type Server } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { attack } from './attack.ts';
import { CANARY, TOKEN, target, targets } from './gateway.ts';
import { errnoName, Inside, insides, onHost, perl } from './inside.ts';

const inside = insides(targets());

/** Connects a UNIX socket: a path, or a name after \0. */
const toUnix = (name: string, length = 108): string =>
  perl(
    `socket my $s, 1, 1, 0; print connect($s, pack("S a${length}", 1, "${name.replace('\0', '\\0')}")) ? "done" : $!+0;`,
  );

/** The same for a name that is there: some versions of Node fill it up with zeros, which are part of it then. */
function toAbstract(name: string): string {
  const [found] = [toUnix(name), toUnix(name, name.length)].filter((code) => onHost(code) === 'done');
  if (found === undefined) throw new Error('nothing listens there');
  return found;
}

/** Connects by TCP to an IPv4 address, by its number. */
const toAddress = (address: string, port: number): string =>
  perl(
    `socket my $s, 2, 1, 0; print connect($s, pack("S n C4 x8", 2, ${port}, split /\\./, "${address}")) ? "done" : $!+0;`,
  );

/** The same by IPv6, in hexadecimal. */
const toAddress6 = (hex: string, port: number): string =>
  perl(
    `socket my $s, 10, 1, 0 or print($!+0), exit; print connect($s, pack("S n N H32 N", 10, ${port}, 0, "${hex}", 0)) ? "done" : $!+0;`,
  );

/** Some hosts have no IPv6, or have turned it off. */
const NO_WAY_6 = ['ENETUNREACH', 'EADDRNOTAVAIL', 'EAFNOSUPPORT'];

const twice = (errno: string): string[] => [errno, errno];

async function listening(path: string, work: () => Promise<void>): Promise<void> {
  const server: Server = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve) => server.listen(path, resolve));
  try {
    await work();
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
}

describe('without network', () => {
  attack('A28', async (as) => {
    const it = await inside(as);
    const name = `\0slotcast-probe-${process.pid}-${as}`;
    await listening(name, async () => {
      expect((await it.both(toAbstract(name))).map(errnoName)).toEqual(twice('ECONNREFUSED'));
    });
  });

  attack('A29', async (as) => {
    const it = await inside(as);
    const path = join(tmpdir(), `probe-${as}`);
    await listening(path, async () => {
      expect(onHost(toUnix(path))).toBe('done');
      expect((await it.both(toUnix(path))).map(errnoName)).toEqual(twice('ENOENT'));
      expect((await it.both(toUnix('/run/docker.sock'))).map(errnoName)).toEqual(twice('ENOENT'));
    });
  });

  attack('A30', async (as) => {
    const it = await inside(as);
    const { port } = it.target;
    expect(onHost(toAddress('127.0.0.1', port))).toBe('done');
    for (const address of ['127.0.0.1', '127.9.9.9', '0.0.0.0']) {
      expect((await it.both(toAddress(address, port))).map(errnoName)).toEqual(twice('ECONNREFUSED'));
    }
    const loopback6 = `${'0'.repeat(31)}1`;
    for (const said of await it.both(toAddress6(loopback6, port))) {
      expect(['ECONNREFUSED', ...NO_WAY_6]).toContain(errnoName(said));
    }
  });

  attack('A31', async (as) => {
    const it = await inside(as);
    const own = Object.values(networkInterfaces())
      .flatMap((addresses) => addresses ?? [])
      .filter(({ family, internal }) => family === 'IPv4' && !internal)
      .map(({ address }) => address);
    for (const address of [...own, '10.0.2.2', '192.168.0.1']) {
      expect((await it.both(toAddress(address, it.target.port))).map(errnoName)).toEqual(twice('ENETUNREACH'));
    }
    for (const said of await it.both('tail -n +3 /proc/net/dev | cut -d: -f1; wc -l < /proc/net/route')) {
      expect(said.trim().split(/\s+/)).toEqual(['lo', expect.stringMatching(/^[01]$/)]);
    }
  });

  attack('A32', async (as) => {
    const it = await inside(as);
    expect((await it.both(toAddress('169.254.169.254', 80))).map(errnoName)).toEqual(twice('ENETUNREACH'));
    const byNumber = perl(
      'socket my $s, 2, 1, 0; print connect($s, pack("S n N x8", 2, 80, 2852039166)) ? "done" : $!+0;',
    );
    expect((await it.both(byNumber)).map(errnoName)).toEqual(twice('ENETUNREACH'));
    const onAws = 'fd000ec2000000000000000000000254';
    for (const said of await it.both(toAddress6(onAws, 80))) expect(NO_WAY_6).toContain(errnoName(said));
    for (const said of await it.both(
      perl('print defined gethostbyname("metadata.google.internal") ? "found" : "none"'),
    )) {
      expect(said).toBe('none');
    }
  });

  attack('A57', async (as) => {
    const it = await inside(as);
    // SOCK_RAW of ICMP; SIOCSIFADDR and SIOCSIFFLAGS of lo; RTM_NEWLINK of a dummy by netlink.
    const raw = 'print socket(my $s, 2, 3, 1) ? "done" : $!+0, "\\n";';
    const interfaces =
      'socket my $i, 2, 2, 0; for (0x8914, 0x8916) { my $b = pack "a16 S x22", "lo", 2; print ioctl($i, $_, $b) ? "done" : $!+0, "\\n" }';
    const netlink =
      'socket my $n, 16, 3, 0; my $m = pack "L S S L L C x S l L L", 32, 16, 0x605, 1, 0, 0, 0, 0, 0, 0; send $n, $m, 0, pack "S x2 L L", 16, 0, 0; recv $n, my $r, 4096, 0; print -unpack("x16 l", $r), "\\n"';
    for (const said of await it.both(perl(`${raw} ${interfaces} ${netlink}`))) {
      expect(said.trim().split('\n').map(errnoName)).toEqual(Array(4).fill('EPERM'));
    }
  });
});

/** Whether the kernel can keep abstract sockets apart by Landlock: from 6.12 on. */
const hasScopes = (): boolean => Number(onHost(perl('print syscall 444, 0, 0, 1'))) >= 6;

describe('with the network of the host', () => {
  attack('A64', async (as, context) => {
    if (!hasScopes()) return context.skip('this kernel has no scopes of Landlock');
    const open = await target(as, { flags: ['--network', 'host'] });
    try {
      const it = new Inside(await open.slot(), open);
      const name = `\0slotcast-scope-${process.pid}-${as}`;
      await listening(name, async () => {
        expect((await it.both(toAbstract(name))).map(errnoName)).toEqual(twice('EPERM'));
      });
      // Its own work as ever.
      const own = perl(
        'my $a = pack "S a9", 1, "\\0of-slot"; socket my $l, 1, 1, 0; bind $l, $a; listen $l, 1; socket my $s, 1, 1, 0; print connect($s, $a) ? "done" : $!+0;',
      );
      expect(await it.both(own)).toEqual(twice('done'));
    } finally {
      await open.close();
    }
  });

  attack('A30', async (as) => {
    const open = await target(as, { flags: ['--network', 'host'] });
    try {
      const slot = await open.slot();
      expect(slot.network).toBe('host');
      const get = (path: string, header = '') =>
        `exec 3<>/dev/tcp/127.0.0.1/${open.port}; printf 'GET ${path} HTTP/1.1\\r\\nHost: 127.0.0.1:${open.port}\\r\\n${header}Connection: close\\r\\n\\r\\n' >&3; head -1 <&3`;
      const asked = async (path: string, header?: string) =>
        (await slot.exec.run({ command: get(path, header) })).stdout.trim();
      for (const path of ['/casts', `/slots/${slot.name}/files/x`]) {
        expect(await asked(path)).toMatch(/^HTTP\/1.1 401/);
      }
      expect(await asked('/casts', `Authorization: Bearer ${TOKEN}x\\r\\n`)).toMatch(/^HTTP\/1.1 401/);
      // The control: with the credential, which is nowhere inside, it answers.
      expect(await asked('/casts', `Authorization: Bearer ${TOKEN}\\r\\n`)).toMatch(/^HTTP\/1.1 200/);
      const search =
        'p=$(cat); grep -rlsaE "$p" /proc/[0-9]*/environ /proc/[0-9]*/cmdline /etc /run /tmp /workspace /dev/shm';
      const { stdout } = await slot.exec.run({ command: search, input: `${TOKEN}|${CANARY}` });
      // The argument of grep itself.
      const found = stdout.split('\n').filter((file) => !/^(?:\/proc\/\d+\/cmdline)?$/.test(file));
      expect(found).toEqual([]);
    } finally {
      await open.close();
    }
  });
});
