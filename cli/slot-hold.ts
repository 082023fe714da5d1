// Which slot a command drives, and what becomes of it afterwards: one that was free is given back empty; one in use is never taken silently.
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
  /** Gives the slot back, and tells what became of it; idempotent. */
  release(): Promise<string>;
}

export async function holdSlot(client: Client, name: string, options: HoldOptions): Promise<Held> {
  const slot = await take(client, name, options);
  const { keep = false } = options;
  return {
    slot,
    release: async () => {
      await slot.release({ reset: !keep });
      return keep ? `${slot.name} was released, its files are kept` : `${slot.name} was released and emptied`;
    },
  };
}

async function take(client: Client, name: string, { takeover = false, label }: HoldOptions): Promise<Slot> {
  const labelled = label === undefined ? {} : { label };
  if (name === ANY) return await client.acquire(labelled);
  try {
    return await client.acquire({ slot: name, ...labelled });
  } catch (error) {
    if (!(error instanceof Fault) || error.fault !== 'SLOT_BUSY') throw error;
    if (takeover) return await client.takeover({ slot: name, ...labelled });
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
