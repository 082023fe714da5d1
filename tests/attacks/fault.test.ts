// What breaks by itself or is broken on purpose: processes that die, disks that are full, files that are damaged. Only what the tests started is killed.
import {
  copyFileSync,
  existsSync,
  lchownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { connect as connectSocket, type Socket } from 'node:net';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { WebSocket } from 'ws';
import { connect, type Slot } from '../../client/index.ts';
import { Fault } from '../../protocol/fault.ts';
import { until } from '../support/gateway.ts';
import { endKeeper, keeperOf } from '../support/keeper.ts';
import { needs, remote } from '../support/remote.ts';
import { attack, attackOnce } from './attack.ts';
import type { User } from './catalogue.ts';
import { ADDRESS, target as startTarget, type Target, TOKEN, targets } from './gateway.ts';

const of = targets();
/** For what is the same whoever runs the gateway. */
const me: User = process.getuid?.() === 0 ? 'root' : 'user';

interface Running {
  readonly pid: number;
  readonly parent: number;
  readonly command: string;
  readonly startTime: string;
}

/** Every process below that one, with its start time, so that a later one of the same pid is none of them. */
function childrenOf(pid: number): Running[] {
  const all = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => runningOf(Number(name)) ?? []);
  const below = (parent: number): Running[] =>
    all.filter((one) => one.parent === parent).flatMap((one) => [one, ...below(one.pid)]);
  return below(pid);
}

function runningOf(pid: number): Running | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (fields[0] === 'Z') return null;
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
    return { pid, parent: Number(fields[1]), command, startTime: fields[19] ?? '' };
  } catch {
    return null;
  }
}

const isAlive = ({ pid, startTime }: Running): boolean => runningOf(pid)?.startTime === startTime;

/** The processes of a command that is marked by that word: its bwrap, first process and itself, from outside to inside. */
async function processesOf(target: Target, word: string): Promise<Running[]> {
  let found: Running[] = [];
  await until(word, () => {
    const all = childrenOf(keeperOf(target.dataDir) ?? 0);
    const inmost = all.filter(({ command }) => command.includes(word)).at(-1);
    found = [];
    for (let one = inmost; one !== undefined; one = all.find(({ pid }) => pid === one?.parent)) found.unshift(one);
    return inmost !== undefined && found.some(({ command }) => command.startsWith('sleep'));
  });
  return found;
}

const faultOf = (error: unknown): string | null => (error instanceof Fault ? error.fault : String(error));

describe('G', () => {
  attack('G01', async (as) => {
    const target = await startTarget(as);
    try {
      const slot = await target.slot();
      await slot.terminal.run({ command: 'echo recorded; (trap "" HUP TERM; sleep 4243) & disown' });
      slot.terminal.run({ command: 'setsid sleep 4242' }).catch(() => {});
      slot.exec.run({ command: "trap '' TERM HUP; setsid sleep 4244 & sleep 4245" }).catch(() => {});
      for (const seconds of ['4242', '4243', '4244', '4245']) await processesOf(target, `sleep ${seconds}`);
      const before = childrenOf(target.pid);
      expect(before.length).toBeGreaterThan(8);
      await target.signal('SIGKILL');
      await endKeeper(target.dataDir);
      await until('nothing lives', () => !before.some(isAlive), 5000);
      expect(readFileSync(join(target.dataDir, 'casts', `${slot.cast}.cast`), 'utf8')).not.toContain('# slotcast end');
      await target.again();
      const client = await target.client();
      const info = await client.cast.info(slot.cast);
      expect(info.live).toBe(false);
      expect(info.markers.map(({ label }) => label)).toContain('recording ended without notice');
      const { frames } = await client.cast.read({ cast: slot.cast });
      expect(frames.map(([, , data]) => data).join('')).toContain('recorded');
      const fresh = await client.acquire({ slot: slot.name });
      expect((await fresh.exec.run({ command: 'ls -A . /tmp' })).stdout).toBe('.:\n\n/tmp:\n');
    } finally {
      await target.close();
    }
  });

  attack('G02', async (as) => {
    if (remote !== null) return needs("the gateway's host");
    const target = await of(as);
    const slot = await target.slot();
    // From outside to inside: each layer of a command, by the host's own hand.
    for (const layer of [0, 1, 2]) {
      const word = `${9000 + layer}`;
      const running = slot.exec.run({ command: `sleep ${word}; exit 0` });
      const processes = (await processesOf(target, `sleep ${word}`)).filter(
        ({ command }) => !command.startsWith('sleep'),
      );
      const victim = processes[Math.min(layer, processes.length - 1)];
      expect(victim).toBeDefined();
      process.kill(victim?.pid ?? 0, 'SIGKILL');
      const { outcome, exitCode } = await running;
      expect([outcome, exitCode], victim?.command.slice(0, 80)).not.toContain('exited');
      expect(exitCode).toBeNull();
      await until('all of it is dead', () => !processes.some(isAlive));
    }
    // The terminal's: the next call starts a new shell.
    const run = slot.terminal.run({ command: 'sleep 9004; echo never' });
    const [outer] = await processesOf(target, 'sleep 9004');
    process.kill(outer?.pid ?? 0, 'SIGKILL');
    const ended = await run;
    expect(ended.exitCode === null || ended.exitCode > 128).toBe(true);
    await until('it is dead', () => outer !== undefined && !isAlive(outer));
    expect((await slot.terminal.run({ command: 'echo again' })).output).toBe('again\n');
    await slot.release();
  });

  const isRoot = process.getuid?.() === 0;

  attack('G03', async (as, context) => {
    if (!isRoot) return context.skip('only root can mount a small disk');
    const mount = `mkdir -p "$0/casts" && chmod 755 "$0/casts" && mount -t tmpfs -o size=8m,mode=1777 none "$0/casts" && exec "$@"`;
    const target = await startTarget(as, { through: ['unshare', '-m', 'sh', '-c', mount, '$DATA'] });
    try {
      const slot = await target.slot();
      const casts = `/proc/${target.pid}/root${target.dataDir}/casts`;
      const watch = await slot.watch();
      const told = (async () => {
        for await (const event of watch) {
          const labels = event.kind === 'frames' ? event.frames.filter(([, code]) => code === 'm') : [];
          const missing = labels.find(([, , label]) => label.includes('missing here'));
          if (missing !== undefined) return missing[2];
        }
        return null;
      })();
      await slot.terminal.run({ command: 'echo before' });
      writeFileSync(join(casts, 'ballast'), Buffer.alloc(6 * 1024 * 1024));
      await slot.terminal.run({ command: 'head -c 3000000 /dev/urandom | base64' });
      await until('the log tells', () => target.printed.stderr.includes('could not be written'));
      // Full: the slot goes on, and one that would need a new recording is told why there is none.
      expect((await slot.terminal.run({ command: 'echo on; (exit 3)' })).exitCode).toBe(3);
      expect((await slot.exec.run({ command: 'echo exec' })).stdout).toBe('exec\n');
      rmSync(join(casts, 'ballast'));
      await until('it is written again', async () => {
        await slot.terminal.run({ command: 'echo again' });
        return await Promise.race([
          told.then(() => true),
          new Promise<boolean>((resolve) => setImmediate(resolve, false)),
        ]);
      });
      expect(await told).toMatch(/^\d+ frames? (is|are) missing here/);
      await slot.terminal.run({ command: 'echo after' });
      await slot.release();
      const text = readFileSync(join(casts, `${slot.cast}.cast`), 'utf8');
      for (const line of text.trimEnd().split('\n')) if (!line.startsWith('#')) JSON.parse(line);
      expect(text).toMatch(/# slotcast gap \{"from":\d+,"to":\d+\}/);
      expect(text).toMatch(/before[\s\S]*missing here[\s\S]*after[\s\S]*# slotcast end /);
      expect((await (await target.client()).cast.info(slot.cast)).markers.length).toBeGreaterThan(3);
    } finally {
      await target.close();
    }
  });

  attack('D68', async (as, context) => {
    if (!isRoot) return context.skip('only root can mount a small disk');
    const mount = `mkdir -p "$0/casts" && chmod 755 "$0/casts" && mount -t tmpfs -o size=8m,mode=1777 none "$0/casts" && exec "$@"`;
    const through = ['unshare', '-m', 'sh', '-c', mount, '$DATA'];
    const target = await startTarget(as, { flags: ['--record', 'strict'], through });
    try {
      const slot = await target.slot();
      const casts = `/proc/${target.pid}/root${target.dataDir}/casts`;
      writeFileSync(join(casts, 'ballast'), Buffer.alloc(4 * 1024 * 1024));
      const unseen = slot.exec.run({ command: 'while sleep 0.05; do date >>unseen; done' });
      const flood = slot.terminal.run({ command: 'head -c 9000000 /dev/urandom | base64; touch unseen-too' });
      expect(await unseen).toMatchObject({ outcome: 'signaled', signal: 'KILL', limit: 'disk' });
      expect((await flood).limit).toBe('disk');
      const { size } = await slot.file.stat('unseen');
      const files = readdirSync(casts).sort();
      for (let count = 0; count < 10; count++) {
        const calls = [() => slot.exec.run({ command: 'date >>unseen' }), () => slot.terminal.run({ command: 'true' })];
        for (const call of calls) {
          await expect(call()).rejects.toMatchObject({ fault: 'NO_SPACE' });
        }
        await expect((await target.client()).acquire()).rejects.toMatchObject({ fault: 'NO_SPACE' });
      }
      expect((await slot.file.stat('unseen')).size).toBe(size);
      expect((await slot.file.list()).entries.map(({ path }) => path)).toEqual(['unseen']);
      // A recording that could not be begun left nothing.
      expect(readdirSync(casts).sort()).toEqual(files);
      rmSync(join(casts, 'ballast'));
      await until('it goes on', async () => (await slot.exec.run({ command: 'true' }).catch(() => null)) !== null);
      await slot.release();
      const client = await target.client();
      expect((await client.cast.info(slot.cast)).markers.map(({ label }) => label).join('\n')).toMatch(
        /missing here[\s\S]*stopped: the recording can't be written/,
      );
      expect(await client.cast.verify(slot.cast)).toMatchObject({ ok: true });
    } finally {
      await target.close();
    }
  });

  attack('G04', async (as) => {
    const target = await of(as);
    await expect(startTarget(as, { dataDir: target.dataDir })).rejects.toThrow(/another gateway uses .*--data-dir/);
    expect((await (await target.slot()).exec.run({ command: 'echo untouched' })).stdout).toBe('untouched\n');
  });

  attack('G05', async (as) => {
    const target = await of(as);
    const sockets: WebSocket[] = [];
    class Cut extends WebSocket {
      constructor(url: string, protocols: string[]) {
        super(url, protocols);
        sockets.push(this);
      }
    }
    const client = await connect({ url: target.url, token: TOKEN, WebSocket: Cut as never });
    const slot = await client.acquire();
    const order = { command: 'echo run >>count; sleep 0.5; cat count; exit 7', key: 'once' };
    const first = slot.exec.run(order);
    await until('it runs', async () => (await slot.exec.list()).length === 1);
    sockets.at(-1)?.terminate();
    expect(await first).toMatchObject({ exitCode: 7, stdout: 'run\n' });
    expect(await slot.exec.run(order)).toMatchObject({ exitCode: 7, stdout: 'run\n' });
    expect(sockets.length).toBeGreaterThan(1);
    await slot.release();
    await client.close();
  });

  attack('G06', async (as) => {
    const target = await startTarget(as, { through: ['prlimit', '--nofile=160:160'] });
    const idle: Socket[] = [];
    try {
      const slot = await target.slot();
      expect((await slot.exec.run({ command: 'echo before' })).stdout).toBe('before\n');
      for (let count = 0; count < 200; count++) {
        const socket = connectSocket(target.port, ADDRESS);
        socket.on('error', () => {});
        idle.push(socket);
      }
      const open = () => readdirSync(`/proc/${target.pid}/fd`).length;
      await until('it is out of descriptors', () => open() >= 158);
      const calls = [
        () => slot.exec.run({ command: 'echo full' }),
        () => slot.terminal.run({ command: 'echo full' }),
        () => slot.file.write({ path: 'full', data: 'full' }),
        () => slot.file.list(),
      ];
      const faults = await Promise.all(calls.map((call) => call().then(() => null, faultOf)));
      expect(faults.filter((fault) => fault !== null).length).toBeGreaterThan(0);
      for (const fault of faults) expect(fault).toBeOneOf([null, 'SANDBOX_UNAVAILABLE', 'RATE_LIMITED', 'NO_SPACE']);
      for (const socket of idle) socket.destroy();
      await until('they are closed', () => open() < 120);
      await until('it works again', async () => (await calls[0]?.().catch(() => null)) !== null);
      expect((await slot.terminal.run({ command: 'echo after' })).output).toBe('after\n');
      await slot.file.write({ path: 'after', data: 'after' });
      expect((await target.slot()).sandboxed).toBe(true);
    } finally {
      for (const socket of idle) socket.destroy();
      await target.close();
    }
  });

  attack('G07', async (as) => {
    if (remote !== null) return needs("the gateway's host");
    const target = await of(as);
    const slot: Slot = await target.slot();
    const stop = async (word: string): Promise<Running[]> => {
      const processes = await processesOf(target, word);
      for (const { pid } of processes) process.kill(pid, 'SIGSTOP');
      return processes;
    };
    const started = performance.now();
    const running = slot.exec.run({ command: 'sleep 9100', timeoutMs: 700 });
    const stopped = await stop('sleep 9100');
    expect(await running).toMatchObject({ outcome: 'timedOut', exitCode: null });
    expect(performance.now() - started).toBeLessThan(5000);
    await until('all of it is dead', () => !stopped.some(isAlive));
    slot.terminal.run({ command: 'sleep 9101' }).catch(() => {});
    slot.exec.run({ command: 'sleep 9102' }).catch(() => {});
    const left = [...(await stop('sleep 9101')), ...(await stop('sleep 9102'))];
    await slot.release();
    await until('all of it is dead', () => !left.some(isAlive));
    const again = await (await target.client()).acquire({ slot: slot.name });
    expect((await again.exec.run({ command: 'echo next' })).stdout).toBe('next\n');
    await again.release();
  });

  attackOnce('G08', async () => {
    const target = await startTarget(me, { flags: ['--grace-ms', '500'] });
    try {
      const slot = await target.slot();
      await slot.terminal.run({ command: 'kept=yes' });
      process.kill(target.pid, 'SIGSTOP');
      const pending = slot.terminal.run({ command: 'echo $kept' });
      const beat = slot.exec.run({ command: 'date +%s' });
      await new Promise((resolve) => setTimeout(resolve, 3000));
      process.kill(target.pid, 'SIGCONT');
      expect((await pending).output).toBe('yes\n');
      expect((await beat).exitCode).toBe(0);
      expect(await slot.info()).toMatchObject({ state: 'leased', connected: true });
    } finally {
      process.kill(target.pid, 'SIGCONT');
      await target.close();
    }
  });

  // It starts the program six times.
  attack(
    'G09',
    async (as) => {
      const target = await startTarget(as);
      try {
        const casts = join(target.dataDir, 'casts');
        const slot = await target.slot();
        await slot.exec.run({ command: 'echo marked' });
        await slot.terminal.run({ command: 'echo sound' });
        await slot.release();
        await target.signal('SIGTERM');
        const name = (number: number): string => join(casts, `cast_20260101-00000${number}-0123456789.cast`);
        const sound = readFileSync(join(casts, `${slot.cast}.cast`));
        writeFileSync(name(1), '');
        writeFileSync(name(2), 'no recording at all\n\0\xff');
        mkdirSync(name(3));
        writeFileSync(name(4), sound.subarray(0, sound.length - 30));
        writeFileSync(
          name(5),
          Buffer.concat([sound.subarray(0, 400), Buffer.from('\n{broken\n'), sound.subarray(400)]),
        );
        copyFileSync(join(casts, `${slot.cast}.cast`), name(6));
        for (const ending of ['digest', 'screens'])
          writeFileSync(join(casts, `${slot.cast}.${ending}`), '{"version":1,"bytes":');
        mkdirSync(`${name(6).slice(0, -5)}.digest`);
        for (const file of ['token', 'gateway.pid']) writeFileSync(join(target.dataDir, file), '\0garbage');
        // As if the gateway itself had left them so.
        const { uid, gid } = statSync(casts);
        for (const dir of [casts, target.dataDir]) {
          for (const file of readdirSync(dir)) lchownSync(join(dir, file), uid, gid);
        }
        await target.again();
        const client = await target.client();
        const found = await client.cast.list();
        const byName = new Map(found.map((info) => [info.cast, info]));
        expect(byName.get(slot.cast)).toMatchObject({ commands: 2, failed: 0, live: false });
        expect([...byName.keys()]).toEqual(
          expect.arrayContaining(['cast_20260101-000004-0123456789', 'cast_20260101-000006-0123456789']),
        );
        expect([...byName.keys()]).not.toContain('cast_20260101-000001-0123456789');
        expect((await client.cast.list({ search: 'marked' })).length).toBeGreaterThan(0);
        for (const number of [1, 2, 3]) {
          const cast = `cast_20260101-00000${number}-0123456789`;
          const fault = await client.cast.read({ cast }).then(() => null, faultOf);
          expect(fault, cast).toBeOneOf(['CAST_NOT_FOUND', 'CAST_DAMAGED']);
        }
        const fresh = await client.acquire();
        expect((await fresh.exec.run({ command: 'echo works' })).stdout).toBe('works\n');
        // What decides who gets in is never guessed at.
        for (const file of ['secret.key', 'revoked.json']) {
          await target.signal('SIGTERM');
          const path = join(target.dataDir, file);
          const kept = existsSync(path) ? readFileSync(path) : null;
          writeFileSync(path, 'garbage');
          lchownSync(path, uid, gid);
          await expect(target.again(), file).rejects.toThrow(
            new RegExp(`${file.replace('.', '\\.')} in the data directory is damaged`),
          );
          if (kept === null) rmSync(path);
          else writeFileSync(path, kept);
          await target.again();
        }
      } finally {
        await target.close();
      }
    },
    120_000,
  );

  attackOnce(
    'G10',
    async () => {
      const target = await startTarget(me);
      try {
        const slot = await target.slot();
        await slot.exec.run({ command: 'echo needle' });
        await slot.release();
        await target.signal('SIGTERM');
        const casts = join(target.dataDir, 'casts');
        for (let number = 0; number < 2000; number++) {
          const cast = `cast_20260101-000000-${String(number).padStart(10, '0')}`;
          const header = {
            version: 3,
            term: { cols: 80, rows: 24 },
            slotcast: { cast, slot: 'slot_0', label: null, startedAt: number },
          };
          writeFileSync(
            join(casts, `${cast}.cast`),
            `${JSON.stringify(header)}\n# slotcast end {"duration":0,"frames":0,"commands":0}\n`,
          );
        }
        await target.again();
        const client = await target.client();
        expect((await client.cast.list({ limit: 50 })).map(({ cast }) => cast)).toContain(slot.cast);
        expect((await client.cast.list({ search: 'needle' })).map(({ cast }) => cast)).toEqual([slot.cast]);
        expect(target.memory()).toBeLessThan(500 * 1024 * 1024);
      } finally {
        await target.close();
      }
    },
    60_000,
  );

  attack('G11', async (as, context) => {
    if (!isRoot) return context.skip('only root can mount a directory read-only');
    const mount = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"';
    const started = startTarget(as, { through: ['unshare', '-m', 'sh', '-c', mount, '$DATA'] });
    await expect(started).rejects.toThrow(/^the gateway ended: slotcast: [^\n]*(read-only|EROFS)[^\n]*\n$/);
  });
});
