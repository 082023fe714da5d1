// A real bash on a real pty, without a sandbox: the smallest keeper that a terminal can live on.
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { StringDecoder } from 'node:string_decoder';
import type { TerminalRunResult } from '../../../protocol/terminal.ts';
import { systemClock } from '../../../server/keeper/clock.ts';
import { killSession, statOf, tryKill } from '../../../server/keeper/foreground.ts';
import { FrameLog } from '../../../server/keeper/frame-log.ts';
import type { Keeper, KeptTerminal, SlotPlace, TerminalEnd, TerminalSpec } from '../../../server/keeper/keeper.ts';
import { PtyChild } from '../../../server/keeper/pty-child.ts';
import { LiveScreen } from '../../../server/screen/live-screen.ts';
import { Terminal, type TerminalOptions } from '../../../server/terminal/terminal.ts';

/** What a session has on its screen, without the spaces at the line ends and with every default prompt ending in $. */
export async function shownLines(bench: Bench, history = 0): Promise<string[]> {
  const limit = { prompt: true, timeoutMs: 5000 };
  await bench.terminal.wait(limit, new AbortController().signal);
  const { text } = await bench.terminal.capture({ history, format: 'text' });
  return text
    .trimEnd()
    .split('\n')
    .map((line) => line.replace(/^(\S+) #( |$)/, '$1 $$$2').trimEnd());
}

export interface Bench {
  readonly terminal: Terminal;
  readonly log: FrameLog;
  readonly screen: LiveScreen;
  readonly place: SlotPlace;
  /** Runs with the defaults of the method. */
  run(command: string, more?: RunMore): Promise<TerminalRunResult>;
  close(): Promise<void>;
}

interface RunMore {
  readonly timeoutMs?: number;
  readonly maxOutputBytes?: number;
  readonly signal?: AbortSignal;
}

export async function openBench(
  options: { cols?: number; rows?: number } & Pick<TerminalOptions, 'changed'> = {},
): Promise<Bench> {
  const root = await mkdtemp(join(tmpdir(), 'slotcast-terminal-'));
  const place: SlotPlace = {
    slot: 'slot_0',
    workspace: join(root, 'workspace'),
    tmp: join(root, 'tmp'),
    spool: join(root, 'spool'),
    identity: null,
  };
  await Promise.all([place.workspace, place.tmp, place.spool].map((path) => mkdir(path)));
  const { cols = 120, rows = 40, ...hooks } = options;
  const log = new FrameLog({ cast: 'cast_1', cols, rows, now: () => performance.now() });
  const screen = new LiveScreen(log, { reply: (data) => terminal.reply(data) });
  const keeper = { sandboxed: false, startTerminal: (spec: TerminalSpec) => startPty(spec, log) } as unknown as Keeper;
  const terminal: Terminal = new Terminal({ keeper, place, network: 'none', log, screen, ...hooks });
  return {
    terminal,
    log,
    screen,
    place,
    run: (command, { timeoutMs = 30_000, maxOutputBytes = 1024 * 1024, signal } = {}) =>
      terminal.run({ command, timeoutMs, maxOutputBytes }, signal ?? new AbortController().signal),
    close: async () => {
      await terminal.close();
      screen.close();
      await rm(root, { recursive: true });
    },
  };
}

/** Resolves when the condition holds; fails after some seconds. */
export async function until(condition: () => Promise<boolean> | boolean, timeoutMs = 5000): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error('the condition did not come true in time');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

async function startPty(spec: TerminalSpec, log: FrameLog): Promise<KeptTerminal> {
  const { cols, rows, place } = spec;
  const [file = '', ...args] = spec.argv;
  const env = {
    PATH: process.env['PATH'] ?? '/usr/bin:/bin',
    HOME: place.workspace,
    TERM: 'xterm-256color',
    LANG: 'C.UTF-8',
    ...spec.env,
  };
  const decoder = new StringDecoder('utf8');
  const output = (bytes: Buffer): void => {
    const text = decoder.write(bytes);
    if (text !== '') log.append('o', text);
  };
  const child = new PtyChild({ file, args, cols, rows, env, cwd: place.workspace, clock: systemClock, output });
  const ended = child.exited.then((exit): TerminalEnd => {
    log.append('x', String(exit.exitCode ?? 128 + exit.signal));
    return { exitCode: exit.exitCode };
  });
  const group = (): number => statOf(child.pid)?.foregroundGroup ?? child.pid;
  return {
    ended,
    write: (data) => void child.write(data),
    resize: (newCols, newRows) => {
      child.resize(newCols, newRows);
      log.append('r', `${newCols}x${newRows}`);
    },
    foreground: () => (group() === child.pid ? 'shell' : 'job'),
    signalForeground: (name) => {
      if (group() !== child.pid) tryKill(-group(), `SIG${name}`);
    },
    kill: async () => {
      child.kill();
      killSession(child.pid);
      await ended;
    },
  };
}
