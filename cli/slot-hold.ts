// Which slot a command drives, and what becomes of it afterwards: one that was free is left empty, one that was taken over goes back to its
// holder; one in use is never taken silently.
import { type Client, Fault, type Slot } from '../client/index.ts';
import { Complaint } from './complaint.ts';

export interface HoldOptions {
  /** Drives a slot in use instead of its holder. */
  readonly takeover?: boolean;
  /** Leaves the files when the slot is given back. */
  readonly keep?: boolean;
  readonly label?: string;
}

/** The word for any free slot. */
const ANY = 'new';

export interface Held {
  readonly slot: Slot;
  /** Lets go of the slot, and tells what became of it; idempotent. */
  release(): Promise<string>;
}

export async function holdSlot(client: Client, name: string, options: HoldOptions): Promise<Held> {
  const { slot, isTaken } = await take(client, name, options);
  const { keep = false } = options;
  let isDrivenByOther = false;
  client.on('takenOver', () => {
    isDrivenByOther = true;
  });
  client.on('givenBack', () => {
    isDrivenByOther = false;
  });
  return {
    slot,
    release: async () => {
      // A release would wait for the give-back; without one the lease ends by its grace time after that.
      if (isDrivenByOther) return `${slot.name} is left to who took it over`;
      if (isTaken) {
        await slot.giveBack();
        return `${slot.name} was given back`;
      }
      await slot.release({ reset: !keep });
      return keep ? `${slot.name} was released, its files are kept` : `${slot.name} was released and emptied`;
    },
  };
}

interface Taken {
  readonly slot: Slot;
  /** From somebody who goes on with it afterwards. */
  readonly isTaken: boolean;
}

async function take(client: Client, name: string, { takeover = false, label }: HoldOptions): Promise<Taken> {
  const labelled = label === undefined ? {} : { label };
  if (name === ANY) return { slot: await client.acquire(labelled), isTaken: false };
  try {
    return { slot: await client.acquire({ slot: name, ...labelled }), isTaken: false };
  } catch (error) {
    if (!(error instanceof Fault) || error.fault !== 'SLOT_BUSY') throw error;
    if (takeover) return { slot: await client.takeover({ slot: name, ...labelled }), isTaken: true };
    throw await busy(client, name, error);
  }
}

async function busy(client: Client, name: string, fault: Fault): Promise<Error> {
  const info = (await client.slots()).find(({ slot }) => slot === name);
  if (info?.state !== 'leased') return fault;
  const label = info.label === null ? '' : ` (${info.label})`;
  return new Complaint(
    `${name} is in use${label}. Look on by slotcast watch ${name}, take any free slot by naming it "${ANY}", ` +
      `or drive it instead of its holder by --takeover.`,
  );
}
