// Many restarts of every kind under light load: nothing is left of any of them. SLOTCAST_TEST_RESTARTS sets how many.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import type { Slot } from '../../client/index.ts';
import { until } from '../support/gateway.ts';
import { isAlive, type Program, startProgram, treeOf } from '../support/program.ts';

const RESTARTS = Number(process.env['SLOTCAST_TEST_RESTARTS'] ?? 10);
/** A start, and what runs meanwhile. */
const RESTART_MS = 6_000;

let program: Program;
afterEach(async () => {
  await program.close();
});

/** Descriptors, children and memory of a keeper that nobody uses. */
function heldBy(pid: number) {
  return { descriptors: readdirSync(`/proc/${pid}/fd`).length, processes: treeOf(pid).length };
}

test(
  `${RESTARTS} restarts leave nothing behind`,
  async () => {
    program = await startProgram();
    const { keeper } = program;
    const client = await program.client();
    const round = async (slot: Slot): Promise<string[]> => {
      const work = [
        slot.exec.run({ command: 'sleep 0.3; echo ran', timeoutMs: 60_000 }),
        slot.exec.run({ command: 'seq 20000 | tail -1', timeoutMs: 60_000 }),
      ];
      await slot.terminal.run({ command: 'seq 300' });
      return [
        slot.cast,
        ...(await Promise.all(work)).map(({ stdout }) => stdout),
        await slot.release().then(() => 'ok'),
      ];
    };
    // A keeper in which nothing is left goes with its gateway: this one always has something.
    await (await program.client()).acquire({ label: 'held' });
    await round(await client.acquire());
    const idle = async (): Promise<ReturnType<typeof heldBy>> => {
      const isIdle = ({ state, label }: { state: string; label: string | null }) =>
        state === 'free' || label === 'held';
      await until('every slot is free', async () => (await client.slots()).every(isIdle));
      return heldBy(keeper.pid);
    };
    const before = await idle();
    const casts: string[] = [];
    for (let number = 0; number < RESTARTS; number++) {
      // Not within it: nobody can tell whether a lease whose reply was lost was made.
      const working = round(await client.acquire());
      working.catch(() => {});
      const how = (['SIGKILL', 'SIGHUP', '--replace', 'SIGKILL twice'] as const)[number % 4];
      if (how === '--replace') await program.serve('--replace');
      else {
        await program.end(how === 'SIGHUP' ? 'SIGHUP' : 'SIGKILL');
        if (how === 'SIGKILL twice') {
          const starting = program.serve();
          starting.catch(() => {});
          await new Promise((resolve) => setTimeout(resolve, 200));
          await program.endNewest();
          await starting.catch(() => {});
        }
        await program.serve();
      }
      const [cast = '', ...got] = await working;
      expect(got, how).toEqual(['ran\n', '20000\n', 'ok']);
      casts.push(cast);
    }
    expect(program.keeper).toEqual(keeper);
    for (const cast of casts)
      expect(await client.cast.verify(cast), cast).toMatchObject({ ok: true, recovered: false });
    // One more of this would be one for each restart.
    await until('the keeper holds no more than before', async () => {
      const after = await idle();
      return after.descriptors <= before.descriptors + 2 && after.processes <= before.processes;
    });
    const all = treeOf(keeper.pid);
    expect(await program.end('SIGTERM')).toBe(0);
    await until('nothing lives', () => !all.some(isAlive));
    expect(readdirSync(program.dataDir).filter((name) => /\.pid|\.sock|\.tmp|~/.test(name))).toEqual([]);
    for (const slot of readdirSync(join(program.dataDir, 'slots')))
      for (const part of ['workspace', 'tmp']) {
        const place = join(program.dataDir, 'slots', slot, part);
        expect(existsSync(place) ? readdirSync(place) : [], place).toEqual([]);
      }
  },
  30_000 + RESTARTS * RESTART_MS,
);
