// exec.*: one command, its own sandbox. Outcomes are results.
import { posix } from 'node:path';
import type { Call } from '../../protocol/contract.ts';
import { Fault } from '../../protocol/fault.ts';
import type { ProcessOrder } from '../keeper/keeper.ts';
import type { Command } from '../slot/command.ts';
import type { Keyed } from '../slot/key-table.ts';
import type { Lease } from '../slot/lease.ts';
import type { Pool } from '../slot/pool.ts';
import { boundLease, boundSlot } from './bound.ts';
import { bytesOf } from './bytes.ts';
import type { Context, Handlers } from './context.ts';
import { type Followers, standing, withOutput } from './follow.ts';

export interface ExecMethodParts {
  readonly pool: Pool;
  readonly followers: Followers;
  readonly sandboxed: boolean;
}

type ExecHandlers = Pick<
  Handlers,
  'exec.run' | 'exec.start' | 'exec.write' | 'exec.signal' | 'exec.wait' | 'exec.hold' | 'exec.list'
>;

interface Beginning {
  readonly notified: boolean;
  readonly keyed: Keyed | null;
}

export function execHandlers({ pool, followers, sandboxed }: ExecMethodParts): ExecHandlers {
  const begin = async (lease: Lease, call: Call<'exec.run'>, how: Beginning): Promise<Command> => {
    // The call was made before, to a gateway that has died since.
    const begun = how.keyed === null ? undefined : lease.commands.keyed(how.keyed);
    if (begun !== undefined) return begun;
    const network = call.network ?? lease.network;
    const { stream, encoding } = call;
    return await lease.commands.start({ order: orderOf(call), network, stream, encoding, ...how });
  };

  return {
    'exec.run': (call, { peer, signal: asked, room }) => {
      boundSlot(pool, peer);
      const lease = boundLease(peer);
      const keyed = { key: call.key, method: 'exec.run', params: call, signal: asked };
      return lease.keys.once(keyed, async (signal, key) => {
        const command = await begin(lease, call, { notified: false, keyed: key });
        if (call.stream) followers.begin(peer, command);
        await endOrCancel(command, signal);
        if (isLarge(command)) await room?.();
        const outcome = command.process.end?.outcome ?? 'lost';
        return { ...standing(command, sandboxed), outcome, ...withOutput(command, call.encoding) };
      });
    },

    'exec.start': (call, { peer, signal: asked }) => {
      boundSlot(pool, peer);
      const lease = boundLease(peer);
      const keyed = { key: call.key, method: 'exec.start', params: call, signal: asked };
      return lease.keys.once(keyed, async (signal, key) => {
        const command = await begin(lease, call, { notified: true, keyed: key });
        if (signal.aborted) {
          await command.process.kill();
          throw new Fault('CANCELLED');
        }
        // After the reply, so that the caller knows the name before the first output comes.
        setImmediate(() => peer.lease === lease && followers.begin(peer, command));
        return { process: command.id };
      });
    },

    'exec.write': async (call, { peer }) => {
      const { process } = boundLease(peer).commands.get(call.process);
      const data = bytesOf('data', call.data, call.encoding);
      if (!(await process.write(data))) {
        throw new Fault('STDIN_CLOSED', `The stdin of ${call.process} is closed. Start it with stdin: "open".`);
      }
      if (call.eof) await process.closeInput();
      return {};
    },

    'exec.signal': async (call, { peer }) => {
      await boundLease(peer).commands.get(call.process).process.signal(call.signal);
      return {};
    },

    'exec.wait': async (call, context) => {
      const command = boundLease(context.peer).commands.get(call.process);
      await endOrTimeout(command, call.timeoutMs, context);
      await command.process.refresh();
      if (isLarge(command)) await context.room?.();
      return { ...standing(command, sandboxed), ...withOutput(command, call.encoding) };
    },

    'exec.hold': async ({ process, on }, { peer }) => {
      followers.hold(peer, boundLease(peer).commands.get(process), on);
      return {};
    },

    'exec.list': async (_call, { peer }) => ({ processes: await boundLease(peer).commands.list() }),
  };
}

/** Replies above this are made one after the other: a hundred waits for one command would hold its output a hundred times. */
const LARGE_BYTES = 1024 * 1024;

function isLarge({ process }: Command): boolean {
  const kept = [process.output('stdout'), process.output('stderr')];
  return kept.reduce((sum, { head, tail }) => sum + head.length + tail.length, 0) > LARGE_BYTES;
}

function orderOf(call: Call<'exec.run'>): ProcessOrder {
  const { command, argv } = call;
  return {
    run: command === undefined ? { argv: argv ?? [] } : { command },
    cwd: posix.resolve('/workspace', call.cwd ?? '.'),
    env: call.env ?? {},
    input: call.input === undefined ? null : bytesOf('input', call.input, call.inputEncoding),
    stdin: call.stdin,
    timeoutMs: call.timeoutMs,
    idleTimeoutMs: call.idleTimeoutMs ?? 0,
    maxOutputBytes: call.maxOutputBytes,
  };
}

/** Waits for the end; a cancelled call stops what it started. */
async function endOrCancel(command: Command, signal: AbortSignal): Promise<void> {
  const cancel = (): void => void command.process.kill();
  if (signal.aborted) cancel();
  signal.addEventListener('abort', cancel, { once: true });
  try {
    await command.process.ended;
  } finally {
    signal.removeEventListener('abort', cancel);
  }
  if (signal.aborted) throw new Fault('CANCELLED');
}

/** Waits for the end, the timeout, or for the call to be cancelled; the command itself goes on. */
async function endOrTimeout(command: Command, timeoutMs: number | undefined, { signal }: Context): Promise<void> {
  if (timeoutMs === 0 || command.process.end !== null) return;
  let timer: NodeJS.Timeout | undefined;
  let stop = (): void => {};
  const stopped = new Promise<void>((resolve) => {
    stop = resolve;
    if (timeoutMs !== undefined) timer = setTimeout(resolve, timeoutMs);
    signal.addEventListener('abort', stop, { once: true });
  });
  await Promise.race([command.process.ended, stopped]);
  clearTimeout(timer);
  signal.removeEventListener('abort', stop);
  if (signal.aborted) throw new Fault('CANCELLED', 'The wait was cancelled; the command goes on.');
}
