import { spawn } from '@lydell/node-pty';
import { afterEach, expect, test } from 'vitest';
import { FrameLog, RING_BYTES } from '../../../server/keeper/frame-log.ts';
import { Emulator } from '../../../server/screen/emulator.ts';
import { LiveScreen, SCROLLBACK_LINES } from '../../../server/screen/live-screen.ts';
import { COLS, programs, ROWS, record } from './recorded.ts';

const SIZE = { cols: COLS, rows: ROWS };
const open: { close(): void }[] = [];

afterEach(() => {
  for (const thing of open.splice(0)) thing.close();
});

/** Timers that a test lets run out. */
class HeldTimers {
  #waiting = new Set<() => void>();

  after(_ms: number, run: () => void): { cancel(): void } {
    this.#waiting.add(run);
    return { cancel: () => void this.#waiting.delete(run) };
  }

  runOut(): void {
    const due = [...this.#waiting];
    this.#waiting.clear();
    for (const run of due) run();
  }
}

function start(given: { now?: () => number; clock?: HeldTimers } = {}) {
  const log = new FrameLog({ cast: 'cast_test', ...SIZE, now: given.now ?? (() => 0) });
  const replies: string[] = [];
  const reply = (data: string): void => void replies.push(data);
  const screen = new LiveScreen(log, { reply, clock: given.clock ?? new HeldTimers() });
  open.push(screen, log);
  return { log, screen, replies };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function turns(count: number): Promise<void> {
  for (let index = 0; index < count; index++) await turn();
}

function straight(frames: readonly string[], scrollback = 0): Emulator {
  const emulator = new Emulator({ ...SIZE, scrollback });
  for (const frame of frames) emulator.write(frame);
  return emulator;
}

function screenOf({ cols, rows, ansi }: { cols: number; rows: number; ansi: string }): string {
  const emulator = new Emulator({ cols, rows });
  emulator.restore(ansi);
  const drawn = emulator.ansi();
  emulator.close();
  return drawn;
}

test('a terminal that nobody looks at has no emulator, yet its title and full-screen program are known', async () => {
  const { log, screen } = start();
  for (let line = 0; line < 1000; line++) log.append('o', `line ${line}\r\n`);
  for (const half of ['\x1b]0;my ti', 'tle\x07', '\x1b[?10', '49h']) log.append('o', half);
  await turns(3);
  expect(screen.isEmulating).toBe(false);
  expect(screen.title).toBe('my title');
  expect(screen.alternateScreen).toBe(true);
  log.append('o', '\x1b[?25;1049l');
  expect(screen.alternateScreen).toBe(false);
});

test('a state is the screen as of the newest frame, and the frames after its seq lead on without gap or double', async () => {
  const output = await record(programs['vim'] ?? { argv: ['true'], keys: [] });
  const pieces = output.match(/[\s\S]{1,37}/gu) ?? [];
  const { log, screen } = start();
  const viewers: { seq: number; emulator: Emulator }[] = [];
  for (const piece of pieces) {
    log.append('o', piece);
    const state = await screen.state();
    expect(state.seq).toBe(log.lastSeq);
    const emulator = new Emulator(SIZE);
    emulator.write(state.ansi);
    viewers.push({ seq: state.seq, emulator });
  }
  const end = straight(pieces);
  for (const { seq, emulator } of viewers) {
    const rest = log.read(seq, Number.POSITIVE_INFINITY);
    for (const frame of Array.isArray(rest) ? rest : []) emulator.feed(frame);
    expect(emulator.ansi(), `from ${seq} on`).toBe(end.ansi());
    expect(emulator.cursor).toEqual(end.cursor);
  }
});

test('a state that is asked for while output goes on is one that the log can be read on from', async () => {
  const { log, screen } = start();
  const pieces: string[] = [];
  const append = (text: string): void => {
    pieces.push(text);
    log.append('o', text);
  };
  // More than one slice of work, so that output arrives while the emulator catches up.
  for (let line = 0; line < 3000; line++)
    append(`\x1b[${line % 12};1H\x1b[3${line % 8}mline ${line} ${'x'.repeat(200)}`);
  const asked = screen.state();
  for (let line = 0; line < 50; line++) {
    append(`late ${line}\r\n`);
    await turn();
  }
  const state = await asked;
  const viewer = new Emulator(SIZE);
  viewer.write(state.ansi);
  const rest = log.read(state.seq, Number.POSITIVE_INFINITY);
  for (const frame of Array.isArray(rest) ? rest : []) viewer.feed(frame);
  expect(viewer.ansi()).toBe(straight(pieces).ansi());
});

const queries: readonly (readonly [string, string, RegExp])[] = [
  ['DA1', '\x1b[c', /^\x1b\[\?1;2c$/],
  ['DA2', '\x1b[>0c', /^\x1b\[>0;\d+;0c$/],
  ['status', '\x1b[5n', /^\x1b\[0n$/],
  ['cursor position', 'ab\x1b[6n', /^\x1b\[1;3R$/],
  ['extended cursor position', '\x1b[?6n', /^\x1b\[\?1;1R$/],
  ['DECRQM', '\x1b[?2004$p', /^\x1b\[\?2004;2\$y$/],
  ['XTVERSION', '\x1b[>q', /^\x1bP>\|slotcast\x1b\\$/],
  ['size in characters', '\x1b[18t', /^\x1b\[8;12;40t$/],
  ['DECRQSS', '\x1bP$qr\x1b\\', /^\x1bP1\$r1;12r\x1b\\$/],
  ['text colour', '\x1b]10;?\x07', /^\x1b\]10;rgb:/],
  ['background colour', '\x1b]11;?\x1b\\', /^\x1b\]11;rgb:/],
];

test.each(queries)(
  '%s is answered exactly once, however its frames are split and however many look on',
  async (_name, query, answer) => {
    for (let cut = 0; cut < query.length; cut++) {
      const clock = new HeldTimers();
      const { log, screen, replies } = start({ clock });
      if (cut > 0) log.append('o', query.slice(0, cut));
      await turns(2);
      if (cut % 2 === 1) await screen.state();
      clock.runOut();
      log.append('o', query.slice(cut));
      await turns(3);
      clock.runOut();
      await Promise.all([screen.state(), screen.state(), screen.capture({ history: 10, format: 'text' })]);
      log.append('o', 'more');
      await screen.state();
      expect(replies, `cut at ${cut}`).toHaveLength(1);
      expect(replies[0]).toMatch(answer);
    }
  },
);

test('a program on a real pty gets its answer', async () => {
  const { log, screen } = start();
  screen.close();
  const script = String.raw`stty -echo; printf 'abc\e[6n'; IFS= read -rs -d R answer; printf '<%q>' "$answer"; read -r`;
  const pty = spawn('bash', ['-c', script], { ...SIZE });
  const live = new LiveScreen(log, { reply: (data) => pty.write(data), clock: new HeldTimers() });
  open.push(live);
  const answered = new Promise<string>((resolve) => {
    let output = '';
    pty.onData((data) => {
      log.append('o', data);
      output += data;
      const [, answer] = /<(.*)>/.exec(output) ?? [];
      if (answer !== undefined) resolve(answer);
    });
  });
  expect(await answered).toBe("$'\\E[1;4'");
  const ended = new Promise<void>((resolve) => pty.onExit(() => resolve()));
  pty.kill();
  await ended;
});

test('a query whose program is gone, or that waited too long, is not answered', async () => {
  let nowMs = 0;
  const { log, screen, replies } = start({ now: () => nowMs });
  log.append('o', '\x1b[6n');
  log.append('x', '0');
  await turns(2);
  log.append('o', '\x1b[5n');
  nowMs = 60_000;
  await screen.state();
  expect(replies).toEqual([]);
});

test('an emulator that nobody uses is let go; screen, history and modes come back from what it left', async () => {
  const clock = new HeldTimers();
  const { log, screen } = start({ clock });
  const frames = Array.from({ length: 100 }, (_, line) => `\x1b[3${line % 8}mline ${line}\r\n`);
  for (const frame of frames) log.append('o', frame);
  log.append('o', '\x1b[?1h\x1b]2;name\x07\x1b[3');
  const before = await screen.capture({ history: SCROLLBACK_LINES, format: 'ansi' });
  expect(screen.isEmulating).toBe(true);
  clock.runOut();
  expect(screen.isEmulating).toBe(false);
  expect(await screen.capture({ history: SCROLLBACK_LINES, format: 'ansi' })).toEqual(before);
  expect(before.text.split('\n')).toHaveLength(100);
  expect(await screen.modes()).toMatchObject({ applicationCursor: true });
  log.append('o', '1mred');
  expect((await screen.capture({ history: 0, format: 'ansi' })).text).toContain('\x1b[0;31mred');
});

test('who comes after an emulator was let go gets the screen without one, until something is printed', async () => {
  const clock = new HeldTimers();
  const { log, screen } = start({ clock });
  log.append('o', '\x1b[31mred\r\n\x1b[3');
  const before = await screen.state();
  clock.runOut();
  expect(await screen.state()).toEqual(before);
  expect(screen.isEmulating).toBe(false);
  log.append('o', '2mgreen');
  const after = await screen.state();
  expect(after.seq).toBe(2);
  expect(screenOf(after)).toBe(screenOf({ ...SIZE, ansi: '\x1b[31mred\r\n\x1b[32mgreen' }));
});

test('output that has gone quiet is drawn before somebody comes, and the emulator goes as if it had not been', async () => {
  const clock = new HeldTimers();
  const { log, screen } = start({ clock });
  log.append('o', 'a');
  await screen.state();
  log.append('o', 'b');
  clock.runOut();
  expect(screen.isEmulating).toBe(false);
  log.append('o', 'c');
  await screen.state();
  log.append('o', 'd');
  const hold = screen.acquire();
  clock.runOut();
  expect(screen.isEmulating).toBe(true);
  // What was drawn is not needed any more.
  log.ringBytes = 0;
  log.append('o', 'e');
  expect(screenOf(await screen.state())).toContain('abcde');
  hold.close();
});

test('an emulator that somebody holds is kept', async () => {
  const clock = new HeldTimers();
  const { log, screen } = start({ clock });
  const hold = screen.acquire();
  log.append('o', 'x');
  await screen.state();
  clock.runOut();
  expect(screen.isEmulating).toBe(true);
  hold.close();
  clock.runOut();
  expect(screen.isEmulating).toBe(false);
});

test('a flood that the ring cannot hold loses nothing of the screen although nobody watches, and others get their turns', async () => {
  const { log, screen } = start();
  const end = new Emulator({ ...SIZE, scrollback: SCROLLBACK_LINES });
  let longestMs = 0;
  let line = 0;
  for (let bytes = 0; bytes < 2 * RING_BYTES; ) {
    let piece = '';
    while (piece.length < 32 * 1024) piece += `\x1b[3${line % 8}m${line++}\x1b[0m some words in colour\r\n`;
    end.write(piece);
    // Time of the processor: that of the clock depends on who else works on the machine.
    const before = process.cpuUsage();
    log.append('o', piece);
    bytes += piece.length;
    await turn();
    longestMs = Math.max(longestMs, process.cpuUsage(before).user / 1000);
  }
  const shown = await screen.capture({ history: SCROLLBACK_LINES, format: 'ansi' });
  expect(shown.text).toBe(end.ansi(SCROLLBACK_LINES));
  // A slice is 8 ms; the bound leaves room for the collector and the compiler. All at once would be far more.
  expect(longestMs).toBeLessThan(150);
});

test('frames that are gone before anybody could parse them leave a screen that goes on', async () => {
  const { log, screen } = start();
  // In one turn of the loop, so that no slice can run.
  log.append('o', '\x1b]2;never ended');
  for (let frame = 0; frame < 100; frame++) log.append('o', `\x1b[1m${'x'.repeat(60_000)}`);
  log.append('r', '50x10');
  log.append('o', '\x1b[2J\x1b[Hafter');
  const state = await screen.state();
  expect(state).toMatchObject({ seq: log.lastSeq, cols: 50, rows: 10 });
  expect((await screen.capture({ history: 0, format: 'text' })).text).toBe('after');
});

test('a capture tells text, cursor, title and size after a resize', async () => {
  const { log, screen } = start();
  log.append('o', 'one\r\ntwo\x1b]2;top\x07\x1b[?25l');
  log.append('r', '60x20');
  expect(await screen.capture({ history: 0, format: 'text' })).toEqual({
    text: 'one\ntwo',
    cols: 60,
    rows: 20,
    cursor: { col: 3, row: 1, visible: false },
    title: 'top',
    alternateScreen: false,
    seq: 2,
  });
});

test('after its end a screen still shows what it was, and who waits is not left waiting', async () => {
  const { log, screen } = start();
  for (let frame = 0; frame < 400; frame++) log.append('o', `\x1b[1m${'x'.repeat(3000)}\x1b[H`);
  const waiting = screen.state();
  screen.close();
  expect((await waiting).cols).toBe(COLS);
  expect((await screen.state()).cols).toBe(COLS);
});
