// One terminal.run on a shell: types the line that sources the script, and takes what is printed between its marks.
// It never types again what may have begun to run.
import { randomUUID } from 'node:crypto';
import type { Limit } from '../../protocol/exec.ts';
import { Fault } from '../../protocol/fault.ts';
import type { TerminalRunResult } from '../../protocol/terminal.ts';
import type { Answered } from '../keeper/keeper.ts';
import { interrupt } from './interrupt.ts';
import { type RunEnd, RunWatch, type Typed } from './run-watch.ts';
import type { Shell } from './shell.ts';

/** How long a job that somebody started by keys may still take to end. */
const PROMPT_MS = 1000;
/** After an interrupt, until the shell reads the next line. */
const BACK_MS = 1000;
/** A prompt takes less than a millisecond; for one that does more, nobody is held up. */
const NEXT_PROMPT_MS = 100;
/** The first may be lost to text that stood on the command line unseen. */
const ATTEMPTS = 2;

export interface RunOrder {
  readonly command: string;
  /** 0 = none. */
  readonly timeoutMs: number;
  readonly maxOutputBytes: number;
  readonly cols: number;
  readonly signal: AbortSignal;
  /** Called once, when the shell is ready and the command is about to be typed; its number, which no other run of this shell has had. */
  readonly begins: () => number;
  /** Called before the line is typed. */
  readonly types: (typed: Typed) => void;
  /** Called when its time is over, before it is interrupted. */
  readonly timesOut: (durationMs: number) => void;
}

/** A run whose line was typed by a gateway before this one. */
export interface TypedRun extends Typed {
  /** How long ago. */
  readonly elapsedMs: number;
  readonly timeoutMs: number;
  readonly maxOutputBytes: number;
  /** Its duration when its time was over, so that it was being interrupted; null when it wasn't. */
  readonly timedOutMs: number | null;
  readonly timesOut: RunOrder['timesOut'];
}

/** null when the shell ended before anything was typed. Faults: TERMINAL_BUSY when it reads no command line, CANCELLED when the signal was aborted. */
export async function run(shell: Shell, order: RunOrder): Promise<TerminalRunResult | null> {
  if (!(await ready(shell, order))) return null;
  const number = order.begins();
  const begin = { status: shell.status, startedMs: performance.now() };
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    if (attempt > 0) await shell.repair();
    const result = await tryOnce(shell, order, { ...begin, name: attempt === 0 ? `${number}` : `${number}b` });
    if (result !== null) return result;
  }
  throw busy('The shell did not take the command: it reads its input otherwise than at the start.');
}

/** True when the shell reads an empty command line, false when it has ended. */
async function ready(shell: Shell, order: RunOrder): Promise<boolean> {
  if (!order.signal.aborted && shell.isClear) return true;
  const timeoutMs = order.timeoutMs === 0 ? PROMPT_MS : Math.min(PROMPT_MS, order.timeoutMs);
  // In the middle of a command it may be that its last line is still on its way: that too is waited for.
  await shell.until(() => shell.atPrompt || shell.fullScreen, { timeoutMs, signal: order.signal });
  if (order.signal.aborted) throw new Fault('CANCELLED');
  if (shell.end !== null) return false;
  if (shell.fullScreen) {
    throw busy('A full-screen program has the terminal. End it by terminal.keys (for one q, or Escape : q ! Enter).');
  }
  const lost = shell.state === 'busy' && !shell.commandOpen && shell.foreground() !== 'job';
  if (lost) await shell.repair();
  if (shell.state === 'busy') {
    throw busy(
      'Another command runs in the terminal. Wait for its end by terminal.wait {prompt:true}, or stop it by C-c.',
    );
  }
  if ((await shell.clear()) || shell.end !== null) return shell.end === null;
  throw busy('The shell is not at its prompt. Look at the screen by terminal.capture.');
}

function limited(result: TerminalRunResult, struck: Limit | undefined): TerminalRunResult {
  const limit = struck ?? (result.truncated ? 'output' : undefined);
  return limit === undefined ? result : { ...result, limit };
}

const busy = (message: string): Fault => new Fault('TERMINAL_BUSY', message);

interface RunBegin {
  /** $? for the command. */
  readonly status: number | null;
  readonly startedMs: number;
}

/** null when the shell did not run the line at all. */
async function tryOnce(
  shell: Shell,
  order: RunOrder,
  { name, ...begin }: RunBegin & { readonly name: string },
): Promise<TerminalRunResult | null> {
  const id = newId();
  const { command, cols, maxOutputBytes } = order;
  const line = lineOf(name, shell.prompt.options);
  const show = shell.prompt.shown(command, { typed: line.length, cols });
  await shell.spool.writeRun({ name, id, command, show, status: begin.status });
  const watch = new RunWatch(shell, { id, name, maxOutputBytes });
  order.types({ id, name });
  const answered = shell.sendLine(line);
  return await conclude({ shell, watch, name, answered, timedOutMs: null }, order, begin);
}

/** Of 122 random bits some: Node has them ready, where others are asked of the kernel. */
const newId = (): string => randomUUID().slice(0, 13).replace('-', '');

/**
 * What is typed: its beginning, the script, its end. Each character costs the shell three system calls, and a redirection as much as four. So what hides a trace,
 * and what keeps `set -e` from taking a status of ours for a failure, is there when it has to be. The script may set either, so the end has both.
 */
function lineOf(name: string, options: string | null): string {
  const isPlain = options !== null && !/[ex]/.test(options);
  const begin = isPlain ? `__sc ${name}` : `{ __sc ${name}&&:;} 2>/dev/null`;
  return ` ${begin};. "$__sc"</dev/null;{ __sc&&:;} 2>/dev/null`;
}

/** Watches a run that was typed by a gateway before this one. Called before the frames of the shell are told anew, which `replayed` awaits. */
export async function goOn(shell: Shell, typed: TypedRun, replayed: Promise<void>): Promise<TerminalRunResult> {
  const { id, name, elapsedMs, timeoutMs, maxOutputBytes, timedOutMs, timesOut } = typed;
  const watch = new RunWatch(shell, { id, name, maxOutputBytes });
  const begin = { status: null, startedMs: performance.now() - elapsedMs };
  await replayed;
  const leftMs = timeoutMs === 0 ? 0 : Math.max(1, timeoutMs - elapsedMs);
  const { signal } = new AbortController();
  const watched = { shell, watch, name, answered: Promise.resolve(null), timedOutMs };
  const result = await conclude(watched, { timeoutMs: leftMs, signal, timesOut }, begin);
  if (result !== null) return result;
  const durationMs = Math.round(performance.now() - begin.startedMs);
  return { outcome: 'lost', exitCode: null, cwd: shell.cwd, ...watch.output(), durationMs };
}

interface Watched {
  readonly shell: Shell;
  readonly watch: RunWatch;
  readonly name: string;
  /** See Shell.sendLine. */
  readonly answered: Promise<Answered | null>;
  readonly timedOutMs: TypedRun['timedOutMs'];
}

async function conclude(
  { shell, watch, name, answered, timedOutMs }: Watched,
  order: Pick<RunOrder, 'timeoutMs' | 'signal' | 'timesOut'>,
  begin: RunBegin,
): Promise<TerminalRunResult | null> {
  try {
    // How a command ends that is being interrupted is no answer.
    const end = timedOutMs === null ? await first(watch, order) : 'timedOut';
    const durationMs = timedOutMs ?? Math.round(performance.now() - begin.startedMs);
    if (end === 'refused') {
      // Another text was in the way, or the functions of the rc are gone. A line that is taken later finds no script.
      shell.spool.removeRun(name);
      await shell.until(() => shell.atPrompt, { timeoutMs: BACK_MS, signal: order.signal });
      if (!watch.begun) return null;
      const lost = { outcome: 'lost', exitCode: null, cwd: shell.cwd, ...watch.output(), durationMs } as const;
      return limited(lost, await shell.struck());
    }
    if (typeof end === 'object') {
      // Between end and prompt the terminal would echo what is typed next, and then bash once more.
      const prompt = shell.until(() => shell.state !== 'busy', { timeoutMs: NEXT_PROMPT_MS });
      const [limit] = await Promise.all([limitOf(shell, answered), prompt]);
      return limited({ ...outcomeOf(end), ...watch.output(), durationMs }, limit);
    }
    const output = watch.output();
    if (end === 'timedOut') order.timesOut(durationMs);
    await interrupt(shell, watch.over);
    await shell.until(() => shell.atPrompt, { timeoutMs: BACK_MS });
    if (end === 'aborted') throw new Fault('CANCELLED');
    const cwd = shell.end === null ? shell.cwd : null;
    return limited({ outcome: 'timedOut', exitCode: null, cwd, ...output, durationMs }, await shell.struck());
  } finally {
    watch.close();
    // Behind the result, which is on its way by then.
    setImmediate(() => shell.spool.forgetRun(name));
  }
}

/** Told with the last frame where the command was quick; what was told before its end, or by a text that only looked like it, is asked again. */
async function limitOf(shell: Shell, answered: Promise<Answered | null>): Promise<Limit | undefined> {
  const told = await answered;
  return told !== null && told.seq >= shell.turnSeq ? (told.limit ?? undefined) : await shell.struck();
}

function outcomeOf(end: Exclude<RunEnd, 'refused'>): Pick<TerminalRunResult, 'outcome' | 'exitCode' | 'cwd'> {
  if (!('shell' in end)) return { outcome: 'exited', exitCode: end.status, cwd: end.cwd };
  const { exitCode, lost } = end.shell;
  if (lost) return { outcome: 'lost', exitCode: null, cwd: null };
  return { outcome: exitCode === null ? 'signaled' : 'exited', exitCode, cwd: null };
}

/** What comes first: the end of the run, the end of its time, or that nobody wants it any more. Its time begins when the shell has taken it. */
async function first(
  watch: RunWatch,
  order: Pick<RunOrder, 'timeoutMs' | 'signal'>,
): Promise<RunEnd | 'timedOut' | 'aborted'> {
  const { signal, timeoutMs } = order;
  const ends: (() => void)[] = [];
  let isOver = false;
  const stopped = new Promise<'timedOut' | 'aborted'>((resolve) => {
    const abort = (): void => resolve('aborted');
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort);
    ends.push(() => signal.removeEventListener('abort', abort));
    void watch.started.then(() => {
      if (timeoutMs === 0 || isOver) return;
      const timer = setTimeout(() => resolve('timedOut'), timeoutMs);
      ends.push(() => clearTimeout(timer));
    });
  });
  try {
    return await Promise.race([watch.over, stopped]);
  } finally {
    isOver = true;
    for (const end of ends) end();
  }
}
