// Floods that rest while another slot is asked for something: the rule by a clock that is held, then a command and a terminal that really flood.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '../../../server/keeper/clock.ts';
import { Floods, type Flow } from '../../../server/keeper/flood.ts';
import { FrameLog } from '../../../server/keeper/frame-log.ts';
import { startProcess } from '../../../server/keeper/process.ts';
import { startTerminal } from '../../../server/keeper/pty.ts';
import { startSandbox } from '../../../server/keeper/sandbox/launch.ts';
import { DEFAULT_POLICY } from '../../../server/keeper/sandbox/policy.ts';
import { terminalCommand } from '../../../server/keeper/sandbox/terminal-command.ts';
import { ManualClock } from './manual-clock.ts';
import { type Home, makeHome, order, run } from './place-fixture.ts';
import { until } from './until.ts';

const MUCH = 1024 * 1024;

function flooding(): { clock: ManualClock; floods: Floods; flow: Flow } {
  const clock = new ManualClock();
  const floods = new Floods(clock);
  const flow = floods.flow('slot_1');
  flow.printed(MUCH);
  return { clock, floods, flow };
}

describe('the rule', () => {
  test('a flood rests from the moment in which another slot is asked until a little after its answer', () => {
    const { clock, floods, flow } = flooding();
    expect(flow.resting).toBe(false);
    const asked = floods.asked('slot_2');
    expect(flow.resting).toBe(true);
    clock.advance(10);
    asked.end();
    expect(flow.resting).toBe(true);
    clock.advance(10);
    expect(flow.resting).toBe(false);
  });

  test('what floods while another slot is asked rests too, and its own slot makes nothing rest', () => {
    const { floods, flow } = flooding();
    floods.asked('slot_1');
    expect(flow.resting).toBe(false);
    const late = floods.flow('slot_2');
    late.printed(MUCH);
    expect(late.resting).toBe(true);
  });

  test('little output never rests, nor what goes on and on below a megabyte a second', () => {
    const clock = new ManualClock();
    const floods = new Floods(clock);
    const flow = floods.flow('slot_1');
    flow.printed(200 * 1024);
    floods.asked('slot_2');
    expect(flow.resting).toBe(false);
    for (let tenth = 0; tenth < 100; tenth++) {
      clock.advance(100);
      flow.printed(90 * 1024);
      floods.asked('slot_2');
      expect(flow.resting).toBe(false);
    }
  });

  test('a flood goes on for a quarter of the time whatever is asked beside it', () => {
    const { clock, floods, flow } = flooding();
    let ranMs = 0;
    for (let ms = 0; ms < 1000; ms++) {
      floods.asked('slot_2');
      if (!flow.resting) {
        flow.printed(MUCH);
        ranMs++;
      }
      clock.advance(1);
    }
    expect(ranMs).toBeGreaterThanOrEqual(200);
    expect(ranMs).toBeLessThan(350);
  });

  test('a long command of another slot is not what a flood rests for', () => {
    const { clock, floods, flow } = flooding();
    floods.asked('slot_2');
    clock.advance(200);
    flow.printed(MUCH);
    expect(flow.resting).toBe(false);
  });

  test('a line that was typed is waited for as long as it prints, and no more', () => {
    const { clock, floods, flow } = flooding();
    const terminal = floods.flow('slot_2');
    terminal.typed();
    for (let piece = 0; piece < 4; piece++) {
      clock.advance(6);
      terminal.printed(10);
      expect(flow.resting).toBe(true);
    }
    clock.advance(10);
    expect(flow.resting).toBe(false);
  });

  test('one that has ended is not held', () => {
    const { floods, flow } = flooding();
    floods.asked('slot_2');
    flow.close();
    expect(flow.resting).toBe(false);
  });
});

describe('what really floods', () => {
  let home: Home;
  beforeAll(async () => {
    home = await makeHome();
  });
  afterAll(() => home.remove());

  /** The rest lasts as long as the clock is not moved. */
  async function stopsWhile(floods: Floods, clock: ManualClock, printed: () => Promise<number>): Promise<void> {
    await until(async () => (await printed()) > 2 * MUCH, 'it floods');
    const asked = floods.asked('slot_2');
    const at = await printed();
    // What another slot is asked for, from its start to its end: much longer than a flood needs for its next bytes.
    expect(await run(home.place, 'echo x')).toMatchObject({ outcome: 'exited', stdout: 'x\n' });
    expect(await printed()).toBe(at);
    asked.end();
    clock.advance(50);
    await until(async () => (await printed()) > at + 2 * MUCH, 'it goes on');
  }

  test('a command stands still while another slot is asked, goes on afterwards, and nothing of it is lost', async () => {
    const clock = new ManualClock();
    const floods = new Floods(clock);
    const sandbox = startSandbox({ policy: DEFAULT_POLICY, place: home.place, network: 'none' });
    const flow = floods.flow('slot_1');
    const child = await startProcess({ sandbox, order: order('yes | head -c 300000000'), flow });
    await stopsWhile(floods, clock, async () => (await child.totals()).stdout);
    expect(await child.ended).toMatchObject({ outcome: 'exited', exitCode: 0 });
    expect((await child.totals()).stdout).toBe(300_000_000);
  });

  test('a terminal stands still while another slot is asked, and goes on afterwards', async () => {
    const clock = new ManualClock();
    const floods = new Floods(clock);
    let chars = 0;
    const log = new FrameLog({ cast: 'cast_1', cols: 80, rows: 24, now: () => systemClock.now() });
    log.listen((frame) => {
      chars += frame?.data.length ?? 0;
    });
    const command = terminalCommand({
      policy: DEFAULT_POLICY,
      place: home.place,
      network: 'none',
      argv: ['yes'],
      env: {},
    });
    const terminal = await startTerminal({
      log,
      clock: systemClock,
      cols: 80,
      rows: 24,
      command,
      sandboxed: true,
      recordInput: false,
      flow: floods.flow('slot_1'),
    });
    await until(() => chars > 2 * MUCH, 'it floods');
    const asked = floods.asked('slot_2');
    // What waits to be joined comes within some milliseconds: it has been printed.
    await run(home.place, 'true');
    const at = chars;
    expect(await run(home.place, 'echo x')).toMatchObject({ stdout: 'x\n' });
    expect(chars).toBe(at);
    asked.end();
    clock.advance(50);
    await until(() => chars > at + MUCH, 'it goes on');
    await terminal.kill();
  });
});
