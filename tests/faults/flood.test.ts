// A gateway that stands still while a terminal floods: the keeper records on its own, and viewers are told what they missed.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { until } from '../support/gateway.ts';
import { type Program, startProgram } from '../support/program.ts';
import { gapsIn, numbersIn, recorded } from './printer.ts';

let program: Program;
afterEach(async () => {
  await program.close();
});

/** More than rings and sockets hold, and not too much for a slow disk. */
const LINES = 400_000;

test('nothing is lost from the recording when the gateway is stopped in a flood, and the reply is right', async () => {
  program = await startProgram();
  const client = await program.client();
  const slot = await client.acquire();
  const watch = await (await program.client()).watch({ slot: slot.name });
  let last = 0;
  let missed = 0;
  const following = (async () => {
    for await (const event of watch) {
      if (event.kind === 'end') continue;
      if (event.kind === 'frames') expect(event.seq).toBe(last + 1);
      if (event.kind === 'resync') {
        expect([event.gap.from, event.gap.to]).toEqual([last + 1, event.seq]);
        missed += event.gap.to - event.gap.from + 1;
      }
      last = event.kind === 'frames' ? event.seq + event.frames.length - 1 : event.seq;
    }
  })();
  const script = `perl -e 'for (1 .. ${LINES}) { print "<f", ":$_> some text that makes it a line\\n" }'; echo over >done; (exit 3)`;
  const running = slot.terminal.run({ command: script, timeoutMs: 120_000, maxOutputBytes: 1000 });
  const file = join(program.dataDir, 'casts', `${slot.cast}.cast`);
  await until('it floods', () => readFileSync(file).length > 200_000);
  const { gateway } = program;
  gateway.kill('SIGSTOP');
  // Without the gateway: the keeper does not wait for it.
  const workspace = join(program.dataDir, 'slots', slot.name, 'workspace', 'done');
  await until(
    'the flood is over',
    () => {
      try {
        return readFileSync(workspace, 'utf8') === 'over\n';
      } catch {
        return false;
      }
    },
    60_000,
  );
  gateway.kill('SIGCONT');
  expect(await running).toMatchObject({ outcome: 'exited', exitCode: 3, truncated: true });
  await slot.release();
  await following;
  expect(gapsIn(numbersIn(await recorded(client, slot.cast), 'f'), LINES)).toEqual([]);
  expect(await client.cast.verify(slot.cast)).toMatchObject({ ok: true });
  // Whether the viewer was too slow depends on the machine; that it was told what it missed does not.
  expect(last).toBeGreaterThan(missed);
}, 120_000);
