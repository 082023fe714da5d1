// slotcast attach SLOT: the slot's terminal on this one, as by ssh. The local terminal is given back as it was, whatever happens.
import { type Client, Fault, type Slot, type WatchEvent } from '../client/index.ts';
import { keyBytes } from '../protocol/key.ts';
import { Complaint, WRONG_USE } from './complaint.ts';
import { connectTo, type GatewayOptions } from './gateway.ts';
import { ScreenFilter } from './screen-filter.ts';
import { type HoldOptions, holdSlot } from './slot-hold.ts';
import { CLEAR, endSignal, Tty } from './tty.ts';

export interface AttachOptions extends GatewayOptions, HoldOptions {
  /** In tmux notation. */
  readonly detachKey: string;
}

/** Resolves with the shell's exit code, or 0 when the person detached. */
export async function attach(name: string, options: AttachOptions): Promise<number> {
  if (!Tty.isThere) {
    throw new Complaint(
      'attach needs a terminal. Use slotcast exec in scripts, and slotcast watch to look on.',
      WRONG_USE,
    );
  }
  const detach = keyBytes(options.detachKey, { applicationCursor: false });
  const client = await connectTo(options);
  try {
    const held = await holdSlot(client, name, options);
    let text = '';
    try {
      const end = await drive(client, held.slot, detach);
      text = end.text;
      return end.exitCode;
    } finally {
      const fate = await held.release();
      if (text !== '') process.stderr.write(`${text}; ${fate}\n`);
    }
  } finally {
    await client.close();
  }
}

interface End {
  readonly text: string;
  readonly exitCode: number;
}

async function drive(client: Client, slot: Slot, detach: string): Promise<End> {
  await slot.terminal.start(Tty.size);
  await slot.terminal.resize(Tty.size);
  const watch = await slot.watch();
  const signal = endSignal();
  let leave = (_end: End): void => {};
  const left = new Promise<End>((resolve) => {
    leave = resolve;
  });
  let isTakenOver = false;
  const tty = new Tty({
    input: (text) => {
      const at = text.indexOf(detach);
      // Else it would be typed into whatever stands there when the slot is given back.
      if (isTakenOver && at < 0) process.stdout.write('\x07');
      else if (at !== 0 && !isTakenOver) slot.terminal.write(at < 0 ? text : text.slice(0, at)).catch(ignoreLost);
      if (at >= 0) leave({ text: 'detached', exitCode: 0 });
    },
    resized: () => void slot.terminal.resize(Tty.size).catch(ignoreLost),
  });
  const stops = [
    client.on('disconnected', ({ code }) => code !== TAKEN_OVER && process.stdout.write(CONNECTION_LOST)),
    client.on('takenOver', () => {
      isTakenOver = true;
      process.stdout.write(TAKEN_OVER_LINE);
    }),
    client.on('givenBack', () => {
      isTakenOver = false;
      process.stdout.write(GIVEN_BACK_LINE);
    }),
  ];
  try {
    const signalled = signal.received.then((received): End => ({ text: `ended by ${received}`, exitCode: 0 }));
    return await Promise.race([show(watch), left, signalled]);
  } finally {
    for (const stop of stops) stop();
    tty.close();
    signal.close();
    await watch.close();
  }
}

/** A bell and a line where the cursor is: the screen is drawn again when the connection is back. */
const CONNECTION_LOST = '\x07\x1b[7m[connection lost, trying again]\x1b[0m';

const TAKEN_OVER_LINE = '\x07\x1b[7m[taken over: somebody else types until it is given back]\x1b[0m';
const GIVEN_BACK_LINE = '\x07\x1b[7m[given back]\x1b[0m';
/** Close code of the gateway: another connection drives the slot. */
const TAKEN_OVER = 4409;

async function show(events: AsyncIterable<WatchEvent>): Promise<End> {
  const filter = new ScreenFilter({ input: true });
  for await (const event of events) {
    if (event.kind === 'end') return { text: `the lease has ended: ${event.reason}`, exitCode: 0 };
    if (event.kind !== 'frames') {
      process.stdout.write(CLEAR + filter.filter(event.screen));
      continue;
    }
    for (const [, code, data] of event.frames) {
      if (code === 'o') process.stdout.write(filter.filter(data));
      if (code === 'x') return { text: 'the shell has ended', exitCode: Number(data) };
    }
  }
  return { text: 'nothing follows', exitCode: 0 };
}

/** What is typed while the connection is away is lost, which the person sees; a lost lease ends the watch as well. */
function ignoreLost(error: Error): void {
  if (error instanceof Fault && error.fault !== 'LEASE_LOST') process.stdout.write('\x07');
}
