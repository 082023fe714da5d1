// terminal.wait: until the screen shows something, output rests, or the shell reads a command line. It changes nothing in the terminal.
import type { Call, Result } from '../../protocol/contract.ts';
import { Fault } from '../../protocol/fault.ts';
import type { TerminalCapture } from '../../protocol/terminal.ts';
import type { FrameLog } from '../keeper/frame-log.ts';
import type { LiveScreen } from '../screen/live-screen.ts';
import { Pattern } from './pattern.ts';
import type { Shell } from './shell.ts';

/** One redraw comes in several frames; a person sees no difference within a frame of a display. */
const COALESCE_MS = 20;

export interface WaitParts {
  readonly shell: Shell;
  readonly log: FrameLog;
  readonly screen: LiveScreen;
}

/** Faults: TERMINAL_ENDED when the shell ends before, CANCELLED, INVALID_PARAMS for a bad regex. */
export async function wait(
  parts: WaitParts,
  call: Call<'terminal.wait'>,
  signal: AbortSignal,
): Promise<Result<'terminal.wait'>> {
  const hold = parts.screen.acquire();
  try {
    if (call.text === undefined && call.regex === undefined) return await waitForShell(parts, call, signal);
    return await waitForScreen(parts, call, signal);
  } finally {
    hold.close();
  }
}

async function waitForShell(
  { shell, screen }: WaitParts,
  call: Call<'terminal.wait'>,
  signal: AbortSignal,
): Promise<Result<'terminal.wait'>> {
  const { timeoutMs, idleMs } = call;
  const matched =
    idleMs === undefined
      ? await shell.until(() => shell.atPrompt, { timeoutMs, signal })
      : await rests(shell, { idleMs, timeoutMs, signal });
  if (signal.aborted) throw new Fault('CANCELLED');
  if (!matched && shell.end !== null) throw new Fault('TERMINAL_ENDED');
  return answer(await screen.capture({ history: 0, format: 'text' }), matched);
}

/** True when nothing was printed for idleMs, counted from now. */
async function rests(
  shell: Shell,
  limit: { idleMs: number; timeoutMs: number; signal: AbortSignal },
): Promise<boolean> {
  let rested = false;
  let wake: (() => void) | undefined;
  const idle = setTimeout(() => {
    rested = true;
    wake?.();
  }, limit.idleMs);
  const subscription = shell.listen(() => idle.refresh());
  try {
    const quiet = new Promise<boolean>((resolve) => {
      wake = () => resolve(true);
    });
    return await Promise.race([quiet, shell.until(() => rested, limit)]);
  } finally {
    clearTimeout(idle);
    subscription.close();
  }
}

async function waitForScreen(
  { shell, log, screen }: WaitParts,
  call: Call<'terminal.wait'>,
  signal: AbortSignal,
): Promise<Result<'terminal.wait'>> {
  const { text, regex } = call;
  const deadlineMs = performance.now() + call.timeoutMs;
  const pattern = regex === undefined ? null : new Pattern(regex);
  try {
    for (;;) {
      const seq = log.lastSeq;
      const ended = shell.end !== null;
      const capture = await screen.capture({ history: 0, format: 'text' });
      const matched = pattern === null ? capture.text.includes(text ?? '') : await pattern.test(capture.text);
      if (signal.aborted) throw new Fault('CANCELLED');
      if (matched) return answer(capture, true);
      if (ended) throw new Fault('TERMINAL_ENDED');
      const leftMs = deadlineMs - performance.now();
      if (leftMs <= 0) return answer(capture, false);
      await changes({ shell, log, seq, leftMs, signal });
    }
  } finally {
    pattern?.close();
  }
}

interface ChangeLimit {
  readonly shell: Shell;
  readonly log: FrameLog;
  /** The last frame that was looked at. */
  readonly seq: number;
  readonly leftMs: number;
  readonly signal: AbortSignal;
}

/** Resolves a moment after a frame that is newer than `seq`, so that a burst is one change; at once when there is nothing more to wait for. */
async function changes({ shell, log, seq, leftMs, signal }: ChangeLimit): Promise<void> {
  await new Promise<void>((resolve) => {
    let coalescing: NodeJS.Timeout | null = null;
    const settle = (): void => {
      clearTimeout(limit);
      if (coalescing) clearTimeout(coalescing);
      frames.close();
      events.close();
      signal.removeEventListener('abort', settle);
      resolve();
    };
    const changed = (): void => {
      if (log.lastSeq > seq) coalescing ??= setTimeout(settle, Math.min(COALESCE_MS, leftMs));
    };
    const limit = setTimeout(settle, leftMs);
    const frames = log.listen(changed);
    const events = shell.listen((event) => {
      if (event.kind === 'end') settle();
    });
    signal.addEventListener('abort', settle);
    changed();
    if (signal.aborted || (shell.end !== null && coalescing === null)) settle();
  });
}

const answer = ({ text, seq }: TerminalCapture, matched: boolean): Result<'terminal.wait'> => ({ matched, text, seq });
