// Out of the sandbox to who runs beside it: processes of the host, other slots, the gateway, and the sandbox's own pid 1.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { until } from '../support/gateway.ts';
import { attack } from './attack.ts';
import { targets } from './gateway.ts';
import { errnoName, type HostProcess, insides, perl, sandboxed } from './inside.ts';
import { callNumber } from './machine.ts';

const of = targets();
const inside = insides(of);

describe('signals', () => {
  attack('A45', async (as) => {
    const it = await inside(as);
    const { uid } = statSync(join(it.home, 'workspace'));
    // A process of the host under the very user id of the payload.
    const canary = sleeperOf(uid);
    try {
      await it.slot.terminal.start();
      const outer = sandboxed(it.target.pid).find(({ pids }) => pids.at(-1) === 1)?.status['PPid'];
      // Numbers of the host; the group of whoever started the sandbox; everybody.
      const kill = perl(
        `print kill(9, ${canary.pid}, ${it.target.pid}, -${canary.pid}, ${outer}), "\\n"; $SIG{HUP} = "IGNORE"; kill 1, 0;`,
      );
      for (const said of [await it.exec(kill), await it.terminal(kill)]) expect(said).toMatch(/^0\n/);
      const all = await it.exec(`sleep 1000 & ${perl('kill 9, -1; print "alone\\n"')}; wait`);
      expect(all).not.toContain('sleep');
      // The shell goes with it, and nothing else; the next call has a new one.
      const { outcome } = await it.slot.terminal.run({ command: perl('kill 9, -1; sleep 1000') });
      expect(outcome).not.toBe('timedOut');
      expect(await it.terminal('echo again')).toBe('again\n');
      expect([canary.exitCode, canary.signalCode]).toEqual([null, null]);
      expect(existsSync(`/proc/${it.target.pid}`)).toBe(true);
    } finally {
      await ended(canary);
    }
  });

  attack('A72', async (as) => {
    const it = await inside(as);
    const other = await it.slot.exec.start({ command: 'exec sleep 1010' });
    const all = () => sandboxed(it.target.pid);
    const asleep = () => all().find(({ status }) => status['Name'] === 'sleep');
    await until('it runs', () => asleep() !== undefined);
    const lineOf = (one: HostProcess | undefined): HostProcess[] =>
      one === undefined ? [] : [...lineOf(all().find(({ pid }) => `${pid}` === one.status['PPid'])), one];
    // The slot's warden, the command's runner and the command, by their numbers on the host and in the namespaces between.
    const known = lineOf(asleep());
    expect(known.map(({ status }) => status['Name'])).toEqual(['slotcast warden', 'slotcast', 'sleep']);
    for (const { status } of known) expect([status['CapPrm'], status['CapEff']]).toEqual(Array(2).fill('0'.repeat(16)));
    const numbers = known.flatMap(({ pids }) => pids.slice(0, -1));
    const every = `my @all = grep { $_ != $$ && $_ != getppid } 3 .. 300, ${numbers.join(', ')};`;
    const reach = `print kill(9, @all) + grep({ -e "/proc/$_" } @all) + kill(9, map { -$_ } @all), "\\n";`;
    expect(await it.exec(perl(every + reach))).toBe('0\n');
    expect((await it.slot.exec.list()).find(({ process }) => process === other.id)?.outcome).toBe('running');
    const left = new Set(all().map(({ pid }) => pid));
    expect(known.filter(({ pid }) => !left.has(pid))).toEqual([]);
    await other.signal('KILL');
  });

  attack('A46', async (as) => {
    const { slot } = await inside(as);
    const signals = 'kill $_, 1 for 1, 2, 3, 6, 9, 11, 13, 15, 17, 19, 20, 23, 24, 30;';
    const limit = (...resources: readonly number[]) =>
      `for (${resources.join(', ')}) { my $l = pack "QQ", 0, 0; print $! if syscall ${callNumber('prlimit64')}, 1, $_, $l, 0 }`;
    // Size of a file, stack, core, processes, open files, locked memory, pending signals.
    const limits = limit(1, 3, 4, 6, 7, 8, 11);
    const slow = `my $p = pack "i", 0; syscall ${callNumber('sched_setscheduler')}, 1, 5, $p;`;
    const told7 = await slot.exec.run({ command: `${perl(`${signals} ${limits} ${slow}`)}; echo out; exit 7` });
    expect(told7).toMatchObject({ outcome: 'exited', exitCode: 7, stdout: 'out\n', stderr: '' });
    // Without memory it dies, and nobody is left to tell the outcome: then none is made up.
    const lost = await slot.exec.run({ command: `${perl(limit(2, 9))}; head -c 1000000 /dev/zero; exit 0` });
    expect(lost).toMatchObject({ outcome: 'lost', exitCode: null });
    const next = await slot.exec.run({ command: 'echo next' });
    expect(next).toMatchObject({ outcome: 'exited', exitCode: 0, stdout: 'next\n' });
    const told = await slot.terminal.run({ command: `${perl(`${signals} ${limits}`)}; (exit 7)` });
    expect(told).toMatchObject({ outcome: 'exited', exitCode: 7 });
    await slot.terminal.stop();
  });
});

describe('shared things', () => {
  attack('A48', async (as) => {
    const target = await of(as);
    const it = await inside(as);
    const other = await target.slot();
    // shmget with a key, a semaphore, a POSIX queue; kept by one that goes on running.
    const make =
      'shmget(77, 4096, 01666) // die; semget(77, 1, 01666) // die; msgget(77, 01666) // die;' +
      ` my $q = "probe"; syscall(${callNumber('mq_open')}, $q, 0102, 0666, 0) >= 0 or die $!; open my $f, ">", "/dev/shm/probe"; $| = 1; print "made\\n"; sleep 1000`;
    const running = await other.exec.start({ command: perl(make) });
    for await (const { data } of running) {
      expect(data).toBe('made\n');
      break;
    }
    const look =
      'print join " ", map { defined $_->() ? "found" : $!+0 } sub { shmget 77, 0, 0 }, sub { semget 77, 0, 0 }, sub { msgget 77, 0 },' +
      ` sub { my $q = "probe"; my $r = syscall(${callNumber('mq_open')}, $q, 2, 0, 0); $r < 0 ? undef : $r }, sub { open(my $f, "<", "/dev/shm/probe") ? 1 : undef }`;
    for (const said of await it.both(perl(look))) {
      expect(said.trim().split(' ').map(errnoName)).toEqual(Array(5).fill('ENOENT'));
    }
    await running.signal('KILL');
    await other.release();
  });

  attack('A63', async (as, context) => {
    const it = await inside(as);
    // A key of the user under whose id the payload runs on the host, there until its input ends.
    const name = `slotcast-probe-${process.pid}`;
    const add = `my ($t, $n, $v) = ("user", "${name}", "x"); my $k = syscall(${callNumber('add_key')}, $t, $n, $v, 1, -4);`;
    const code = `$| = 1; ${add} print $k < 0 ? $!+0 : "added", "\n"; <STDIN>; syscall(${callNumber('keyctl')}, 9, $k, -4)`;
    const holder = spawn('perl', ['-e', code], {
      stdio: ['pipe', 'pipe', 'inherit'],
      ...hostUser(statSync(join(it.home, 'workspace')).uid),
    });
    try {
      const said = await new Promise((resolve) => holder.stdout.once('data', (data: Buffer) => resolve(`${data}`)));
      if (said !== 'added\n') return context.skip('no kernel keyring on this host');
      for (const seen of await it.both('cat /proc/keys; cat /proc/key-users')) {
        expect(seen.match(/Permission denied/g)).toHaveLength(2);
        expect(seen).not.toContain(name);
      }
    } finally {
      const exit = new Promise((resolve) => holder.once('exit', resolve));
      holder.stdin.end();
      await exit;
    }
  });

  attack('A61', async (as) => {
    const target = await of(as);
    const it = await inside(as);
    const use = `my ($n, $r) = (0); $n++ while ($r = syscall(${callNumber('inotify_init1')}, 0)) >= 0 && $n < 100000; print $!+0, "\\n"; close STDOUT; sleep 1000`;
    const running = await it.slot.exec.start({ command: `exec ${perl(use)}` });
    for await (const { data } of running) {
      expect(errnoName(data)).toBe('EMFILE');
      break;
    }
    const other = await target.slot();
    const one = `my $r = syscall(${callNumber('inotify_init1')}, 0); print $r < 0 ? $!+0 : "done"`;
    // Under root every slot has a user of its own, for whom the kernel counts.
    if (as === 'root') expect((await other.exec.run({ command: perl(one) })).stdout).toBe('done');
    expect((await fetch(`${target.url}/readyz`)).status).toBe(200);
    expect((await other.exec.run({ command: 'echo works' })).stdout).toBe('works\n');
    expect((await other.terminal.run({ command: 'echo works' })).output).toBe('works\n');
    await other.release();
    await running.signal('KILL');
  });

  attack('A62', async (as) => {
    const it = await inside(as);
    await it.slot.file.write({ path: 'held', data: 'text' });
    // F_SETLEASE, F_WRLCK; the signal that asks for it back is ignored, so an open waits for lease-break-time, 45 s.
    const hold =
      '$SIG{IO} = "IGNORE"; open my $f, "+<", "held"; print fcntl($f, 1024, 1) ? "held\\n" : $!+0; close STDOUT; sleep 1000';
    const running = await it.slot.exec.start({ command: `exec ${perl(`$| = 1; ${hold}`)}` });
    for await (const { data } of running) {
      expect(data).toBe('held\n');
      break;
    }
    const startMs = performance.now();
    const acts = await Promise.allSettled([
      it.slot.file.read({ path: 'held' }),
      it.slot.file.write({ path: 'held', data: 'other' }),
      it.slot.file.stat('held'),
      it.slot.artifact.archive({}),
      (await of(as)).slot().then((slot) => slot.release()),
    ]);
    const [read, ...others] = acts;
    expect(read).toMatchObject({ reason: { message: expect.stringContaining('a file lease') } });
    expect(others.filter(({ status }) => status === 'rejected')).toEqual([]);
    expect(performance.now() - startMs).toBeLessThan(10_000);
    await running.signal('KILL');
  });
});

/** A process of the host under that user id. */
function sleeperOf(uid: number): ChildProcess {
  return spawn('sleep', ['1000'], { stdio: 'ignore', detached: true, ...hostUser(uid) });
}

/** Options of spawn; who is no root is that user already. */
function hostUser(uid: number): { uid?: number; gid?: number } {
  return process.getuid?.() === 0 ? { uid, gid: uid } : {};
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await exit;
}
