// Driving a slot's terminal by xterm.js: takes the lease over, shows the watch, sends what is typed and nothing else, and gives the lease back.
import type { Client, Params, Slot, Watch } from '../../../client/index.ts';
import { type KeyTerminal, openKeyTerminal } from './key-terminal.ts';

export interface Drive {
  /** Idempotent. */
  giveBack(): Promise<void>;
}

export interface DriveOptions {
  readonly client: Promise<Client>;
  readonly place: HTMLElement;
  readonly by: Params<'slot.takeover'>;
  /** It is over without having been given back. */
  readonly lost: (error: Error) => void;
}

/** Rejects with the gateway's Fault when it refuses. */
export async function openDrive({ client: coming, place, by, lost }: DriveOptions): Promise<Drive> {
  const client = await coming;
  const slot = await client.takeover(by);
  let isOver = false;
  const lose = (error: Error): void => {
    if (isOver) return;
    // Nothing is left that could be given back.
    isOver = true;
    lost(error);
  };
  const typed = new TypedText(slot, lose);
  const { terminal, watch } = await open(slot, place, typed).catch(async (error: unknown) => {
    await client.call('slot.giveback').catch(() => {});
    throw error;
  });
  const stops = [
    client.on('lost', ({ fault }) => lose(fault)),
    client.on('takenOver', () => lose(new Error('Somebody else took the slot over.'))),
  ];
  void show(watch, terminal).then(
    () => lose(new Error('The lease has ended.')),
    (error: unknown) => lose(error instanceof Error ? error : new Error(String(error))),
  );
  let isClosed = false;
  return {
    giveBack: async () => {
      if (isClosed) return;
      isClosed = true;
      const isMine = !isOver;
      isOver = true;
      for (const stop of stops) stop();
      terminal.close();
      await watch.close();
      if (isMine) await client.call('slot.giveback');
    },
  };
}

async function open(
  slot: Slot,
  place: HTMLElement,
  typed: TypedText,
): Promise<{ terminal: KeyTerminal; watch: Watch }> {
  const terminal = await openKeyTerminal(place, (text) => typed.push(text));
  try {
    return { terminal, watch: await slot.watch() };
  } catch (error) {
    terminal.close();
    throw error;
  }
}

async function show(watch: Watch, terminal: KeyTerminal): Promise<void> {
  for await (const event of watch) {
    if (event.kind === 'end') return;
    if (event.kind !== 'frames') {
      terminal.reset(event);
      continue;
    }
    for (const [, code, data] of event.frames) {
      if (code === 'o') await terminal.write(data);
      else if (code === 'r') terminal.resize(data);
    }
  }
}

/** Keys in the order in which they were pressed: the next ones go when those before have arrived. */
class TypedText {
  readonly #slot: Slot;
  readonly #lost: (error: Error) => void;
  #waiting = '';
  #isSending = false;

  constructor(slot: Slot, lost: (error: Error) => void) {
    this.#slot = slot;
    this.#lost = lost;
  }

  push(text: string): void {
    this.#waiting += text;
    if (!this.#isSending) void this.#send();
  }

  async #send(): Promise<void> {
    this.#isSending = true;
    try {
      while (this.#waiting !== '') {
        const text = this.#waiting;
        this.#waiting = '';
        await this.#slot.terminal.write(text);
      }
    } catch (error) {
      this.#lost(error instanceof Error ? error : new Error(String(error)));
    }
    this.#isSending = false;
  }
}
