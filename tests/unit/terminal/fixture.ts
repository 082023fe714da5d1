// A terminal on a real keeper: real bash, real pty, real sandbox.
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TerminalRunResult } from '../../../protocol/terminal.ts';
import type { FrameLog } from '../../../server/keeper/frame-log.ts';
import type { SlotPlace } from '../../../server/keeper/keeper.ts';
import { LocalKeeper } from '../../../server/keeper/local-keeper.ts';
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
  const dataDir = await mkdtemp(join(tmpdir(), 'slotcast-terminal-bench-'));
  await chmod(dataDir, 0o711);
  const { cols = 120, rows = 40, ...hooks } = options;
  const keeper = await LocalKeeper.open({
    dataDir,
    policy: { sandbox: 'bwrap', mounts: [], network: 'none' },
    log: { error: (detail, message) => console.error(message, detail) },
  });
  const place = await keeper.preparePlace('slot_0');
  const log = await keeper.openLog({ cast: 'cast_1', slot: 'slot_0', label: null, cols, rows });
  const screen = new LiveScreen(log, { reply: (data, seq) => terminal.reply(data, seq) });
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
      await keeper.close();
      await rm(dataDir, { recursive: true });
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
