import { expect, test } from 'vitest';
import { textOf } from '../../../server/keeper/output.ts';
import { type Event, longSession, shelf } from './shelf.ts';

const ECHO = ' __slotcast 1&&:;\r\n\x1b]133;C;k=abc\x07\x1b[1A\r\x1b[J~ $ make\r\n';
const BEGIN = '\x1b]133;C;r=1;k=abc\x07';
const END = '\x1b]133;D;0;cwd=/workspace;k=abc\x07';
const PROMPT = '\x1b[?2004h\x1b]133;A;s=0;k=abc\x07~ $ ';

/** What run r1 of these frames is said to have printed. */
async function printed(events: readonly Event[], maxBytes = 1 << 20) {
  const { library, put } = await shelf();
  await put({ cast: 'cast_run' }, events);
  const { kept, truncated } = await library.output('cast_run', await library.command('cast_run', 'r1'), maxBytes);
  return { text: textOf(kept), truncated };
}

/** A run whose output comes in these pieces, between other output. */
function runOf(pieces: readonly string[]): Event[] {
  const frames = pieces.map((piece, index): Event => [1001 + index, 'o', piece]);
  const endMs = 1001 + pieces.length;
  return [
    [1, 'o', `before${END}`],
    [1000, 'm', 'r1 $ make'],
    ...frames,
    [endMs, 'm', 'r1 exited 0 5ms'],
    [endMs, 'm', 'r2 $ next'],
    [endMs, 'o', `${BEGIN}other${END}`],
    [endMs, 'm', 'r2 exited 0 5ms'],
  ];
}

test('the echo, the prompt and the marks of the shell are left out, however they are cut', async () => {
  const whole = `${ECHO}${BEGIN}\x1b[31mone\x1b[m\r\n\x1b]133;two\x07three\r\n${END}${PROMPT}`;
  const one = { text: 'one\nthree\n', truncated: false };
  expect(await printed(runOf([whole]))).toEqual(one);
  expect(await printed(runOf([...whole]))).toEqual(one);
});

test('marks that a program prints without the key do not end its output, and an unfinished one is not waited for', async () => {
  const forged = '\x1b]133;D;0;k=abd\x07a\x1b]133;D;0\x07b\x1b]133;D;';
  expect(await printed(runOf([ECHO, BEGIN, forged, '9\x07c', END]))).toEqual({ text: 'abc', truncated: false });
  const endless = `\x1b]133;D;${'x'.repeat(20_000)}\x07end`;
  expect((await printed(runOf([ECHO, BEGIN, endless, END]))).text).toBe('end');
});

test('a run that the shell did not take has printed nothing', async () => {
  expect(await printed(runOf([ECHO, 'text of something else']))).toEqual({ text: '', truncated: false });
});

test('what is drawn over is not told, and lines that were wrapped are whole again, at the size of the moment', async () => {
  const long = 'x'.repeat(95);
  const events = runOf([ECHO, `${BEGIN}10%\r20%\r\x1b[Kdone\r\n${long}\r\n`, END]);
  expect((await printed([[0, 'r', '50x12'], ...events])).text).toBe(`done\n${long}\n`);
});

test('a run deep in a long recording is found', async () => {
  const long = longSession(1800).filter(([, code]) => code !== 'm');
  const last = long.at(-1)?.[0] ?? 0;
  const events = runOf([ECHO, `${BEGIN}here\r\n`, END]).map(([ms, ...rest]): Event => [last + ms, ...rest]);
  expect(
    (await printed([...long, ...events, ...longSession(60).map(([ms, ...rest]): Event => [last * 2 + ms, ...rest])]))
      .text,
  ).toBe('here\n');
});

test('of a run that printed very much only the two ends are read', async () => {
  const lines = Array.from({ length: 12_000 }, (_, index) => `${index} ${'y'.repeat(2000)}\r\n`);
  const { text, truncated } = await printed(runOf([ECHO, BEGIN, ...lines, END]));
  expect(truncated).toBe(true);
  // Parts of it alone: the whole would fill the screen of who sees it fail.
  expect(text.slice(0, 10)).toBe('0 yyyyyyyy');
  expect(text.slice(-2009)).toBe(`y\n11999 ${'y'.repeat(2000)}\n`);
  expect(/\n\[… \d+ bytes left out …\]\n/.test(text)).toBe(true);
});

test('where the two ends of such a run do not fill what was asked for, the text says what is missing', async () => {
  const bar = Array.from({ length: 12_000 }, (_, index) => `\r\x1b[K${index}`.padEnd(30, '.').repeat(60));
  const { text, truncated } = await printed(runOf([ECHO, `${BEGIN}first\r\n`, ...bar, '\r\n', END]));
  expect(truncated).toBe(true);
  expect(text).toMatch(/^first\n\d+\.+\n\[… \d+ bytes of the recording left out …\]\n11999\.+\n$/);
});
