// kill -9 of the keeper, and a keeper that hangs: what ran is told as lost and nothing of it lives on; leases, files and recordings are there.
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { Fault } from '../../protocol/fault.ts';
import { until } from '../support/gateway.ts';
import { commandOf, isAlive, type Program, signalTo, startProgram, treeOf } from '../support/program.ts';
import { gapsIn, numbered, numbersIn, recorded } from './printer.ts';

let program: Program;

/** false for the refusal that says to try again; what else went wrong is thrown. */
function mayComeAgain(error: unknown): false {
  if (error instanceof Fault && error.fault === 'SANDBOX_UNAVAILABLE') return false;
  throw error;
}

afterEach(async () => {
  await program.close();
});

/** All that the recording of a keeper which died says at its end. */
const CUT_SHORT = /keeper|without notice/;

test('what ran is told as lost, no process of it lives on, and the lease goes on with a new recording', async () => {
  program = await startProgram();
  const client = await program.client();
  const slot = await client.acquire();
  await slot.file.write({ path: 'kept', data: 'this' });
  const done = await slot.exec.run({ command: 'echo before; exit 4' });
  const waited = slot.exec.run({ command: "echo begun; trap '' TERM HUP; setsid sleep 7101 & sleep 7102; exit 0" });
  const started = await slot.exec.start({ command: 'sleep 7103; exit 0', timeoutMs: 0 });
  await slot.terminal.run({ command: '(trap "" HUP TERM; exec setsid sleep 7104) & disown' });
  const printing = slot.terminal.run({ command: numbered('k', 100_000, 0.002), timeoutMs: 0 });
  const viewer = await program.client();
  const { cast } = slot;
  const seen: string[] = [];
  const casts = new Set<string | null>();
  // A watch ends with the log that it is of; who wants to see more watches again.
  let isWatching = true;
  const following = (async () => {
    while (isWatching) {
      const watch = await viewer.watch({ slot: slot.name });
      for await (const event of watch) {
        if (event.kind === 'frames') seen.push(...event.frames.map(([, , data]) => data));
        if (event.kind === 'screen') casts.add(event.cast);
      }
    }
  })();
  const { keeper } = program;
  const tree = (): string => treeOf(keeper.pid).map(commandOf).join('\n');
  await until('all of it runs', () =>
    ['7101', '7102', '7103', '7104'].every((word) => tree().includes(`sleep ${word}`)),
  );
  await until('it prints', () => numbersIn(seen.join(''), 'k').length > 100);
  const all = treeOf(keeper.pid);
  signalTo(keeper, 'SIGKILL');
  expect(await waited).toMatchObject({ outcome: 'lost', exitCode: null, signal: null });
  expect(await started.exit).toMatchObject({ outcome: 'lost', exitCode: null });
  expect(await printing).toMatchObject({ outcome: 'lost', exitCode: null });
  await until('nothing of it lives', () => !all.some(isAlive));
  await until('there is a new keeper', () => {
    try {
      return program.keeper.pid !== keeper.pid;
    } catch {
      return false;
    }
  });
  // Until it is ready, who wants something of it is told to try again.
  await until('it runs commands', () => slot.exec.run({ command: ':' }).then(() => true, mayComeAgain));
  // Commands that had ended are known, those that run from now on work, files are as they were.
  expect(await slot.exec.process(done.process).wait()).toMatchObject({ outcome: 'exited', exitCode: 4 });
  expect(await slot.exec.run({ command: 'cat kept; exit 2' })).toMatchObject({ exitCode: 2, stdout: 'this' });
  expect((await slot.terminal.run({ command: 'echo anew' })).output).toBe('anew\n');
  const next = (await slot.info()).cast ?? '';
  expect(next).not.toBe(cast);
  await until('the viewer has the new recording', () => casts.has(next));
  // The one that was cut short is closed, says so, and lacks no line before its end.
  await until('it is closed', async () => !(await client.cast.info(cast)).live);
  const { markers } = await client.cast.info(cast);
  expect(markers.at(-1)?.label).toMatch(CUT_SHORT);
  expect(await client.cast.verify(cast)).toMatchObject({ ok: true, sealed: true, recovered: true });
  const numbers = numbersIn(await recorded(client, cast), 'k');
  expect(numbers.length).toBeGreaterThan(20);
  expect(gapsIn(numbers, numbers.length)).toEqual([]);
  isWatching = false;
  await slot.release();
  expect(await recorded(client, next)).toContain('anew');
  expect(await client.cast.verify(next)).toMatchObject({ ok: true, recovered: false });
  await following;
}, 60_000);

test('a run that was going when the gateway died, and was lost with the keeper, is not done again', async () => {
  program = await startProgram();
  const first = await program.client();
  const slot = await first.acquire();
  const { resume, name } = slot;
  const order = { command: 'echo once >>count; sleep 60', key: 'asked once' };
  slot.terminal.run(order).catch(() => {});
  await until('it runs', () =>
    slot.file.read({ path: 'count' }).then(
      () => true,
      () => false,
    ),
  );
  await first.close();
  await program.end('SIGKILL');
  await program.serve();
  const { keeper } = program;
  const cast = (await (await program.client()).slots()).find(({ slot }) => slot === name)?.cast;
  signalTo(keeper, 'SIGKILL');
  // Nobody has asked for its result before the lease goes on with the new keeper.
  const viewer = await program.client();
  await until('there is a new recording', async () => {
    const now = (await viewer.slots()).find(({ slot }) => slot === name)?.cast;
    return now !== cast;
  });
  const again = await (await program.client()).acquire({ resume });
  expect(await again.terminal.run(order)).toMatchObject({ outcome: 'lost', exitCode: null });
  expect((await again.file.read({ path: 'count' })).data).toBe('once\n');
}, 60_000);

test('what was lost with its keeper is not done again under the next gateway either', async () => {
  program = await startProgram();
  const first = await program.client();
  const slot = await first.acquire();
  const { resume, cast } = slot;
  const ended = { command: 'echo ended >>count; exit 7', key: 'one that has ended' };
  const lost = { command: 'echo lost >>count; sleep 60', key: 'one that is lost' };
  expect((await slot.exec.run(ended)).exitCode).toBe(7);
  const run = { command: 'echo run >>count; sleep 60', key: 'a run' };
  const waiting = [slot.exec.run(lost), slot.terminal.run(run)];
  const count = async (): Promise<string[]> => (await slot.file.read({ path: 'count' })).data.trim().split('\n').sort();
  await until('both run', async () => (await count()).length === 3);
  signalTo(program.keeper, 'SIGKILL');
  for (const result of waiting) expect(await result).toMatchObject({ outcome: 'lost', exitCode: null });
  await until('the lease goes on', async () => (await slot.info()).cast !== cast);
  await first.close();
  await program.end('SIGKILL');
  await program.serve();
  const again = await (await program.client()).acquire({ resume });
  expect(await again.exec.run(ended)).toMatchObject({ outcome: 'exited', exitCode: 7 });
  expect(await again.exec.run(lost)).toMatchObject({ outcome: 'lost', exitCode: null });
  expect(await again.terminal.run(run)).toMatchObject({ outcome: 'lost', exitCode: null });
  expect((await again.file.read({ path: 'count' })).data.trim().split('\n').sort()).toEqual(['ended', 'lost', 'run']);
}, 60_000);

test('a keeper that is killed as it starts sandboxes leaves nothing behind', async () => {
  program = await startProgram();
  const slot = await (await program.client()).acquire();
  const mark = `SLOTCAST_KEEPER=${createHash('sha256').update(`keeper of ${program.dataDir}`).digest('hex')}`;
  const marked = (): string[] =>
    readdirSync('/proc').filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/environ`, 'latin1').includes(mark);
      } catch {
        return false;
      }
    });
  await until('it runs commands', () => slot.exec.run({ command: ':' }).then(() => true, mayComeAgain));
  for (const afterMs of [1, 4, 8, 12, 16]) {
    const { keeper } = program;
    const starting: Promise<unknown>[] = Array.from({ length: 8 }, () =>
      slot.exec.run({ command: 'sleep 7801' }).catch(() => null),
    );
    starting.push(slot.terminal.run({ command: 'sleep 7802' }).catch(() => null));
    await until('some are started', () => marked().length > 1);
    await new Promise((resolve) => setTimeout(resolve, afterMs));
    signalTo(keeper, 'SIGKILL');
    await Promise.all(starting);
    await until('it runs commands again', () => slot.exec.run({ command: ':' }).then(() => true, mayComeAgain));
    await until('the commands are gone', () => marked().length === 0);
  }
}, 120_000);

test('SIGTERM to the keeper ends everything that it has', async () => {
  program = await startProgram();
  const slot = await (await program.client()).acquire();
  slot.exec.run({ command: "trap '' TERM; sleep 7201" }).catch(() => {});
  slot.terminal.run({ command: 'sleep 7202' }).catch(() => {});
  const { keeper } = program;
  const tree = (): string => treeOf(keeper.pid).map(commandOf).join('\n');
  await until('both run', () => tree().includes('sleep 7201') && tree().includes('sleep 7202'));
  await program.end('SIGKILL');
  // What stood by only may have come or gone meanwhile.
  const all = treeOf(keeper.pid);
  expect(all.filter((pid) => /^sleep 720[12]$/.test(commandOf(pid)))).toHaveLength(2);
  signalTo(keeper, 'SIGTERM');
  await until('nothing lives', () => !all.some(isAlive));
  expect(['keeper.pid', 'keeper.sock'].filter((name) => existsSync(join(program.dataDir, name)))).toEqual([]);
}, 60_000);

test('both killed: the next start seals the recordings, and a lease is gone', async () => {
  program = await startProgram();
  const client = await program.client();
  const slot = await client.acquire();
  const { cast, resume } = slot;
  slot.exec.run({ command: 'sleep 7301' }).catch(() => {});
  slot.terminal.run({ command: numbered('b', 100_000, 0.002), timeoutMs: 0 }).catch(() => {});
  const file = join(program.dataDir, 'casts', `${cast}.cast`);
  await until('it records', () => numbersIn(readFileSync(file, 'utf8'), 'b').length > 100);
  const { keeper } = program;
  const all = treeOf(keeper.pid);
  signalTo(keeper, 'SIGKILL');
  await program.end('SIGKILL');
  await until('nothing lives', () => !all.some(isAlive));
  const lost = new Promise((resolve) => client.on('lost', resolve));
  await program.serve();
  expect(await lost).toMatchObject({ slot: slot.name, fault: { fault: 'RESUME_GONE' } });
  const next = await program.client();
  await expect(next.acquire({ resume })).rejects.toMatchObject({ fault: 'RESUME_GONE' });
  expect((await next.slots()).map(({ state }) => state)).toEqual(['free', 'free', 'free', 'free']);
  const info = await next.cast.info(cast);
  expect([info.live, info.markers.at(-1)?.label]).toEqual([false, expect.stringMatching(CUT_SHORT)]);
  expect(await next.cast.verify(cast)).toMatchObject({ ok: true, sealed: true, recovered: true });
  const numbers = numbersIn(await recorded(next, cast), 'b');
  expect(numbers.length).toBeGreaterThan(50);
  expect(gapsIn(numbers, numbers.length)).toEqual([]);
  const fresh = await next.acquire({ slot: slot.name });
  expect((await fresh.exec.run({ command: 'ls -A . /tmp' })).stdout).toBe('.:\n\n/tmp:\n');
}, 60_000);

test('a keeper that hangs is told to who starts a gateway, and when it goes on it is as if nothing had been', async () => {
  program = await startProgram();
  const slot = await (await program.client()).acquire();
  const { keeper } = program;
  signalTo(keeper, 'SIGSTOP');
  const pending = slot.exec.run({ command: 'echo late; exit 6' });
  const health = async (): Promise<number> => (await fetch(`${program.url}/healthz`)).status;
  expect(await health()).toBe(200);
  await program.end('SIGKILL');
  await expect(program.serve()).rejects.toThrow(
    new RegExp(
      `^ended with 1: slotcast: the keeper of .*\\(process ${keeper.pid}\\) does not answer[^\n]*kill -CONT[^\n]*\n$`,
    ),
  );
  expect(isAlive(keeper)).toBe(true);
  signalTo(keeper, 'SIGCONT');
  await program.serve();
  expect(program.keeper).toEqual(keeper);
  expect(await pending).toMatchObject({ outcome: 'exited', exitCode: 6, stdout: 'late\n' });
}, 60_000);

test('calls that need a keeper which is stopped for a moment wait for it', async () => {
  program = await startProgram();
  const slot = await (await program.client()).acquire();
  const printing = slot.terminal.run({ command: numbered('s', 300, 0.005) });
  const { keeper } = program;
  signalTo(keeper, 'SIGSTOP');
  const pending = [slot.exec.run({ command: 'echo one' }), slot.exec.run({ command: 'echo two', timeoutMs: 60_000 })];
  await slot.info();
  await new Promise((resolve) => setTimeout(resolve, 1500));
  signalTo(keeper, 'SIGCONT');
  expect((await Promise.all(pending)).map(({ stdout }) => stdout)).toEqual(['one\n', 'two\n']);
  expect(gapsIn(numbersIn((await printing).output, 's'), 300)).toEqual([]);
}, 60_000);

test('SIGTERM while a new keeper is started for one that died ends both', async () => {
  program = await startProgram();
  const slot = await (await program.client()).acquire();
  const running = slot.exec.run({ command: 'sleep 7501' });
  await until('it runs', async () => (await slot.exec.list()).length === 1);
  const first = treeOf(program.keeper.pid);
  signalTo(program.keeper, 'SIGKILL');
  expect((await running).outcome).toBe('lost');
  expect(await program.end('SIGTERM')).toBe(0);
  await until('nothing of it lives', () => !first.some(isAlive));
  expect(
    ['keeper.pid', 'keeper.sock', 'gateway.pid'].filter((name) => existsSync(join(program.dataDir, name))),
  ).toEqual([]);
}, 60_000);
