// slotcast watch SLOT: looks on, read-only. Nothing that is typed here reaches the slot.
import type { Watch, WatchEvent } from '../client/index.ts';
import { Complaint } from './complaint.ts';
import { connectTo, type GatewayOptions } from './gateway.ts';
import { OutputStream } from './output.ts';
import { ScreenFilter } from './screen-filter.ts';
import { CLEAR, endSignal, Tty } from './tty.ts';

/** What a person who wants to leave may press. */
const LEAVE_KEYS = /[q\x03\x04\x1d]/;

/** Resolves with the exit code when the lease ends or the person leaves. */
export async function watch(name: string, options: GatewayOptions): Promise<number> {
  const client = await connectTo(options);
  try {
    const seen = await client.watch({ slot: name });
    if (seen.cast === null) throw new Complaint(`${name} is free: there is nothing to watch. See slotcast slots.`);
    const reason = await showUntilLeft(seen);
    process.stderr.write(`slotcast: ${reason}\n`);
    return 0;
  } finally {
    await client.close();
  }
}

async function showUntilLeft(seen: Watch): Promise<string> {
  const signal = endSignal();
  let leave = (): void => {};
  const left = new Promise<string>((resolve) => {
    leave = () => resolve(`you left ${seen.slot}`);
  });
  const tty = Tty.isThere ? new Tty({ input: (text) => LEAVE_KEYS.test(text) && leave(), resized: () => {} }) : null;
  void signal.received.then(leave);
  try {
    return await Promise.race([show(seen, new OutputStream(process.stdout, leave)), left]);
  } finally {
    tty?.close();
    signal.close();
    await seen.close();
  }
}

async function show(seen: Watch, output: OutputStream): Promise<string> {
  const filter = new ScreenFilter({ input: false });
  const clear = process.stdout.isTTY ? CLEAR : '';
  for await (const event of seen) {
    if (event.kind === 'end') return `the lease of ${seen.slot} has ended: ${event.reason}`;
    await output.write(event.kind === 'frames' ? drawn(event, filter) : clear + filter.filter(event.screen));
  }
  return `nothing follows from ${seen.slot}`;
}

const drawn = ({ frames }: Extract<WatchEvent, { kind: 'frames' }>, filter: ScreenFilter): string =>
  frames.map(([, code, data]) => (code === 'o' ? filter.filter(data) : '')).join('');
