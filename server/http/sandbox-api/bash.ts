// The tools bash and bash_stateful: a command in a sandbox of its own, or in the slot's terminal.
import { constants } from 'node:os';
import type { Result } from '../../../protocol/contract.ts';
import { MAX_TIMEOUT_MS } from '../../../protocol/value.ts';
import type { HttpSlot } from './http-slot.ts';
import { joined, type Seconds } from './python.ts';
import { done, failed, type ToolResult } from './reply.ts';

/** Kept of each stream: twice what is shown, at four bytes a character, since the half of it is the stream's beginning. */
const KEPT_BYTES = 2 * 4 * 60_000;

export interface BashOrder {
  readonly command: unknown;
  readonly allowNetwork: boolean;
  /** Refuse to run where there is no sandbox. */
  readonly requireSandbox: boolean;
  /** null: as long as it takes. */
  readonly timeout: Seconds | null;
  readonly key: string | undefined;
}

/** 0 would be none; what is sooner than a millisecond is one. */
export const timeoutMsOf = (timeout: Seconds | null): number =>
  timeout === null ? 0 : Math.min(MAX_TIMEOUT_MS, Math.max(1, Math.round(timeout.value * 1000)));

export async function bash(slot: HttpSlot, order: BashOrder): Promise<ToolResult> {
  const { command, allowNetwork, requireSandbox, timeout, key } = order;
  if (typeof command !== 'string' || command === '') return failed('Missing command');
  if (requireSandbox && !(await isSandboxed(slot))) return failed(NO_SANDBOX);
  const ended = await slot.call('exec.run', {
    command,
    timeoutMs: timeoutMsOf(timeout),
    maxOutputBytes: KEPT_BYTES,
    ...(key === undefined ? {} : { key }),
    ...(allowNetwork ? {} : { network: 'none' }),
  });
  const output = joined(ended.stdout, ended.stderr);
  const { sandboxed, network } = ended;
  return ending({ ended, output, timeout, metadata: { sandboxed, network_isolated: sandboxed && network === 'none' } });
}

export async function bashStateful(slot: HttpSlot, order: BashOrder): Promise<ToolResult> {
  const { command, allowNetwork, requireSandbox, timeout, key } = order;
  if (typeof command !== 'string' || command.trim() === '') return failed('Missing command', { stateful: true });
  const sandboxed = await isSandboxed(slot);
  if (requireSandbox && !sandboxed) return failed(NO_SANDBOX, { stateful: true });
  const started = await startTerminal(slot, { allowNetwork });
  if (typeof started === 'string') return failed(started, { stateful: true });
  const ended = await slot.call('terminal.run', {
    command,
    timeoutMs: timeoutMsOf(timeout),
    maxOutputBytes: KEPT_BYTES,
    ...(key === undefined ? {} : { key }),
  });
  const metadata = { stateful: true, sandboxed, network_isolated: sandboxed && started.network === 'none' };
  return ending({ ended: { ...ended, signal: null }, output: joined(ended.output, ''), timeout, metadata });
}

const NO_SANDBOX = 'A sandbox is required, and this gateway runs commands without one (--sandbox none).';

export const isSandboxed = async (slot: HttpSlot): Promise<boolean> =>
  (await slot.call('server.info', {})).capabilities['sandbox']?.ok === true;

/** Why it may not be used, or how it stands. A terminal has the network with which it began. */
export async function startTerminal(
  slot: HttpSlot,
  { allowNetwork, ...size }: { readonly allowNetwork: boolean; readonly cols?: number; readonly rows?: number },
): Promise<Result<'terminal.start'> | string> {
  const started = await slot.call('terminal.start', { ...size, ...(allowNetwork ? {} : { network: 'none' }) });
  if (allowNetwork || started.network === 'none') return started;
  return 'The session has network since its start. Stop it by the tmux action stop, then start it with allow_network false.';
}

interface Ending {
  readonly ended: Pick<Result<'exec.run'>, 'outcome' | 'exitCode' | 'signal'>;
  readonly output: string;
  readonly timeout: Seconds | null;
  readonly metadata: Readonly<Record<string, unknown>>;
}

function ending({ ended, output, timeout, metadata }: Ending): ToolResult {
  const { outcome, exitCode, signal } = ended;
  if (outcome === 'timedOut') {
    const after = `Command timed out after ${timeout?.text ?? '0'}s`;
    return failed(after, { exit_code: -1, timeout: true, ...metadata }, output);
  }
  if (outcome === 'lost') return failed('The end of the command was not seen.', { exit_code: -1, ...metadata }, output);
  const code = exitCode ?? 128 + (signalNumbers[`SIG${signal}`] ?? 0);
  const shown = { exit_code: code, ...metadata };
  return code === 0 ? done(output, shown) : failed(`Exit code: ${code}`, shown, output);
}

const signalNumbers: Readonly<Record<string, number>> = constants.signals;
