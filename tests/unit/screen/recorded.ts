// Output of real full-screen programs, recorded on a real pty with the emulator as their terminal.
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { spawn } from '@lydell/node-pty';
import { Emulator } from '../../../server/screen/emulator.ts';

export interface Program {
  readonly argv: readonly [string, ...string[]];
  /** Typed, one after the other, each when the output shows what it waits for. */
  readonly keys: readonly { readonly after: RegExp; readonly type: string }[];
}

export const COLS = 40;
export const ROWS = 12;

/** A file of numbered lines, one of them long, wide and empty each. No accents that combine: the player gives them a column of their own. */
export const TEXT = Array.from({ length: 40 }, (_, line) => {
  if (line === 3) return 'wide: 日本語 and 😀';
  if (line === 5) return `long: ${'word '.repeat(20)}`;
  return line === 7 ? '' : `line ${line}`;
}).join('\n');

/** Everything that the program printed until it ended. */
export async function record({ argv, keys }: Program): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), 'slotcast-screen-'));
  writeFileSync(join(directory, 'text'), TEXT);
  const env = { PATH: '/usr/bin:/bin', TERM: 'xterm-256color', LANG: 'C.UTF-8', HOME: directory };
  const [file, ...args] = argv;
  const pty = spawn(file, args, { cols: COLS, rows: ROWS, cwd: directory, env });
  // Held open, or the last output is lost when the program ends.
  const slave = openSync((pty as unknown as { _pty: string })._pty, 'r+');
  const screen = new Emulator({ cols: COLS, rows: ROWS, onReply: (data) => pty.write(data) });
  const left = [...keys];
  let output = '';
  let unanswered = '';
  pty.onData((data) => {
    output += data;
    unanswered += data;
    screen.write(data);
    const next = left[0];
    if (next === undefined || !next.after.test(unanswered)) return;
    left.shift();
    unanswered = '';
    pty.write(next.type);
  });
  await new Promise<void>((resolve) => {
    pty.onExit(() => resolve());
    // The exit comes only when nobody holds the slave; the program has printed everything when it is gone.
    const gone = setInterval(() => {
      try {
        process.kill(pty.pid, 0);
      } catch {
        clearInterval(gone);
        closeSync(slave);
      }
    }, 20);
  });
  screen.close();
  rmSync(directory, { recursive: true });
  return output;
}

export const programs: Readonly<Record<string, Program>> = {
  vim: {
    argv: ['vim', '-u', 'NONE', '-i', 'NONE', '-N', '-n', 'text'],
    keys: [
      { after: /line 8/, type: ':set number\r' },
      { after: / 9 /, type: '3Gohello \u65e5\u672c\x1b' },
      { after: /hello/, type: '\x06' },
      { after: /line 1\d/, type: ':q!\r' },
    ],
  },
  less: {
    argv: ['less', 'text'],
    keys: [
      { after: /line 8/, type: ' ' },
      { after: /line 1\d/, type: '/line 3\r' },
      { after: /line 3/, type: 'q' },
    ],
  },
  top: { argv: ['top', '-d', '0.1', '-n', '2'], keys: [] },
};
