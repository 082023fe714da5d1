// The tool tmux: the slot's terminal by keys, captures and its recorded stream. The names are tmux's, the terminal is the slot's own.
import type { Library } from '../../cast/library.ts';
import { isSandboxed, startTerminal, timeoutMsOf } from './bash.ts';
import { castLines } from './cast-stream.ts';
import type { HttpSlot } from './http-slot.ts';
import { plain, type Seconds, secondsOf } from './python.ts';
import { done, failed, type ToolResult } from './reply.ts';

/** All that the terminal keeps above its screen. */
const ALL_HISTORY = 10_000;
const ENTER = new Set(['Enter', 'C-m', 'C-j', 'KPEnter']);

export interface TmuxOrder {
  readonly args: Readonly<Record<string, unknown>>;
  readonly timeout: Seconds | null;
  readonly library: Library;
}

const stateful = { stateful: true } as const;

export async function tmux(slot: HttpSlot, { args, timeout, library }: TmuxOrder): Promise<ToolResult> {
  const { action = 'capture' } = args;
  const act = typeof action === 'string' && Object.hasOwn(actions, action) ? actions[action] : undefined;
  if (act === undefined) return failed(`Unknown tmux action: ${String(action)}`, stateful);
  if (args['require_stateful_sandbox'] === true && !(await isSandboxed(slot))) {
    return failed('A sandbox is required, and this gateway runs commands without one (--sandbox none).', stateful);
  }
  if (action === 'stop') return await stop(slot);
  const size = { cols: clamped(args['pane_width'], [20, 500], 120), rows: clamped(args['pane_height'], [10, 200], 40) };
  const started = await startTerminal(slot, { allowNetwork: args['allow_network'] !== false, ...size });
  if (typeof started === 'string') return failed(started, stateful);
  const named = args['pane_width'] !== undefined || args['pane_height'] !== undefined;
  if (action === 'start' && named && !started.started) await slot.call('terminal.resize', size);
  return await act({ slot, args, timeout, library, size });
}

interface Act {
  readonly slot: HttpSlot;
  readonly args: TmuxOrder['args'];
  readonly timeout: Seconds | null;
  readonly library: Library;
  readonly size: { readonly cols: number; readonly rows: number };
}

const actions: Readonly<Record<string, (act: Act) => Promise<ToolResult>>> = {
  start: async ({ slot, size }) => {
    const recording = await slot.cast();
    const session = { socket: 'slotcast', session: slot.name, recording: recordingOf(recording) };
    return done('started', { ...stateful, pane_width: size.cols, pane_height: size.rows, ...session });
  },
  send_keys: sendKeys,
  capture: async ({ slot, args }) => {
    const entire = args['capture_entire'] === true;
    const { text } = await slot.call('terminal.capture', { history: entire ? ALL_HISTORY : 0 });
    return done(tail(text, numberOf(args['max_bytes'])), { ...stateful, capture_entire: entire });
  },
  stream,
  stop: async ({ slot }) => await stop(slot),
};

async function stop(slot: HttpSlot): Promise<ToolResult> {
  await slot.call('terminal.stop', {});
  return done('stopped', stateful);
}

async function sendKeys({ slot, args, timeout }: Act): Promise<ToolResult> {
  const block = args['block'] === true;
  const keys = keysOf(args['keys']);
  if (keys === null) return failed('Missing keys', stateful);
  const sent = block && !ENTER.has(keys.at(-1) ?? '') && !/[\r\n]$/.test(keys.at(-1) ?? '') ? [...keys, 'Enter'] : keys;
  const began = performance.now();
  await slot.call('terminal.keys', { keys: sent });
  const maxWait =
    args['max_wait_s'] === undefined || args['max_wait_s'] === null ? timeout : secondsOf(args['max_wait_s']);
  if (block) await slot.call('terminal.wait', { prompt: true, timeoutMs: timeoutMsOf(maxWait) || timeoutMsOf(DAY) });
  const leftMs = (secondsOf(args['min_wait_s'])?.value ?? 0) * 1000 - (performance.now() - began);
  const mostMs = timeoutMsOf(maxWait) || Number.POSITIVE_INFINITY;
  if (leftMs > 0) await new Promise((resolve) => setTimeout(resolve, Math.min(leftMs, mostMs)));
  return done('ok', { ...stateful, blocked: block });
}

/** A wait without a limit. */
const DAY: Seconds = { value: 86_400, text: '86400' };

async function stream({ slot, args, library }: Act): Promise<ToolResult> {
  const cast = await slot.cast();
  const asked = numberOf(args['offset']);
  if (args['reset'] === true) slot.streamed = 0;
  const from = args['reset'] === true ? 0 : (asked ?? slot.streamed);
  const { text, offset } = await castLines(library, { cast, offset: from, maxBytes: numberOf(args['max_bytes']) });
  // Who names an offset has a place of its own; all others share one.
  if (asked === null) slot.streamed = offset;
  return done(text, { ...stateful, stream: true, offset, recording: recordingOf(cast) });
}

/** Where it can be had by HTTP. */
const recordingOf = (cast: string): string => `/casts/${cast}.cast`;

function keysOf(given: unknown): string[] | null {
  const keys = typeof given === 'string' ? [given] : given;
  return Array.isArray(keys) && keys.every((each) => typeof each === 'string') ? (keys as string[]) : null;
}

function numberOf(given: unknown): number | null {
  const value = plain(given);
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 ? value : null;
}

function clamped(given: unknown, [least, most]: readonly [number, number], otherwise: number): number {
  const value = plain(given);
  return typeof value === 'number' ? Math.min(most, Math.max(least, Math.trunc(value))) : otherwise;
}

/** The last bytes of a text, from a whole character on. */
function tail(text: string, maxBytes: number | null): string {
  const bytes = Buffer.from(text);
  if (maxBytes === null || bytes.length <= maxBytes) return text;
  let from = bytes.length - maxBytes;
  while (from < bytes.length && ((bytes[from] ?? 0) & 0xc0) === 0x80) from++;
  return bytes.toString('utf8', from);
}
