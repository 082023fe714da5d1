// The labels of the markers that commands leave in a cast: one when a command starts, one when it ends. Pure text to values and back.
import { type Limit, limits, type Outcome, outcomes, type SignalName, signalNames } from './vocabulary.ts';

/** Enough to tell commands apart in a list of chapters. */
const MAX_COMMAND_CHARS = 200;

export interface CommandEnd {
  readonly outcome: Outcome;
  readonly exitCode: number | null;
  readonly signal: SignalName | null;
  readonly durationMs: number;
  readonly limit?: Limit | undefined;
}

export type CommandMark =
  | { readonly kind: 'start'; readonly process: string; readonly command: string }
  | ({ readonly kind: 'end'; readonly process: string } & CommandEnd);

/** `p3 $ npm test`: p for an exec, r for a terminal.run. Only the first line of the command, without control characters. */
export function startLabel(process: string, command: string): string {
  return `${process} $ ${harmlessLine(command)}`;
}

/** `p3 exited 0 1200ms`, `p3 signaled KILL 1200ms`, `p3 timedOut 30000ms`, `p3 lost 10ms`; at the end the limit that struck: `p3 signaled KILL 1200ms memory`. */
export function endLabel(process: string, end: CommandEnd): string {
  const detail = end.outcome === 'exited' ? end.exitCode : end.outcome === 'signaled' ? end.signal : null;
  const duration = `${Math.max(0, Math.round(end.durationMs))}ms`;
  const struck = end.limit === undefined ? [] : [end.limit];
  return [process, end.outcome, ...(detail === null ? [] : [detail]), duration, ...struck].join(' ');
}

/** What a label says; null when it is no command's. */
export function parseLabel(label: string): CommandMark | null {
  const start = /^([pr]\d{1,10}) \$ (.*)$/su.exec(label);
  if (start?.[1] !== undefined) return { kind: 'start', process: start[1], command: start[2] ?? '' };
  const end = /^([pr]\d{1,10}) ([a-zA-Z]+)(?: ([A-Z0-9]+))? (\d{1,15})ms(?: ([a-z]+))?$/.exec(label);
  return end === null ? null : parseEnd(end);
}

/** Whether a marker begins a command: a recording has as many commands as such markers. */
export const isCommandStart = (label: string): boolean => parseLabel(label)?.kind === 'start';

function parseEnd([, process = '', name, detail, duration, struck]: RegExpExecArray): CommandMark | null {
  const outcome = outcomes.find((candidate) => candidate === name);
  const limit = limits.find((candidate) => candidate === struck);
  if (outcome === undefined || limit !== struck) return null;
  const signal = signalNames.find((candidate) => candidate === detail) ?? null;
  const isExit = outcome === 'exited';
  if (isExit ? !/^\d{1,3}$/.test(detail ?? '') : detail !== undefined && signal === null) return null;
  return {
    kind: 'end',
    process,
    outcome,
    exitCode: isExit ? Number(detail) : null,
    signal: isExit ? null : signal,
    durationMs: Number(duration),
    ...(limit === undefined ? {} : { limit }),
  };
}

/** The first line that has text; control characters as their pictures, and nothing that turns the text around. */
function harmlessLine(command: string): string {
  const lines = command.split(/\r\n|\r|\n/);
  const line = lines.find((candidate) => candidate.trim() !== '') ?? '';
  const characters = [...line.replace(/\p{Cc}/gu, picture).replace(/[\p{Bidi_Control}\p{Surrogate}]/gu, '\ufffd')];
  const cut = characters.length > MAX_COMMAND_CHARS;
  return cut ? `${characters.slice(0, MAX_COMMAND_CHARS - 1).join('')}…` : characters.join('');
}

function picture(control: string): string {
  const code = control.charCodeAt(0);
  if (code === 0x09) return ' ';
  if (code < 0x20) return String.fromCharCode(0x2400 + code);
  return code === 0x7f ? '\u2421' : '\ufffd';
}
