// slotcast slots, slotcast casts: what there is, for people as a table and for programs as JSON.
import type { CastInfo, SlotInfo } from '../client/index.ts';
import { connectTo, type GatewayOptions } from './gateway.ts';
import { endQuietlyWithoutReader } from './output.ts';
import { duration, size, table } from './table.ts';

export interface ListOptions extends GatewayOptions {
  readonly json?: boolean;
}

export async function listSlots(options: ListOptions): Promise<number> {
  const client = await connectTo(options);
  endQuietlyWithoutReader();
  try {
    const slots = await client.slots();
    print(slots, options, () => table(SLOT_HEAD, slots.map(slotRow)));
    return 0;
  } finally {
    await client.close();
  }
}

export interface CastListOptions extends ListOptions {
  readonly slot?: string;
  readonly label?: string;
  readonly limit: number;
}

export async function listCasts(options: CastListOptions): Promise<number> {
  const { slot, label, limit } = options;
  const client = await connectTo(options);
  endQuietlyWithoutReader();
  try {
    const casts = await client.cast.list({
      limit,
      ...(slot === undefined ? {} : { slot }),
      ...(label === undefined ? {} : { label }),
    });
    print(casts, options, () => table(CAST_HEAD, casts.map(castRow)));
    return 0;
  } finally {
    await client.close();
  }
}

function print(value: unknown, { json = false }: ListOptions, asTable: () => string): void {
  process.stdout.write(json ? `${JSON.stringify(value, null, 2)}\n` : asTable());
}

const SLOT_HEAD = ['SLOT', 'STATE', 'FOR', 'COMMANDS', 'VIEWERS', 'NETWORK', 'LABEL', 'RUNNING'];

function slotRow({ slot, state, since, processes, viewers, network, label, running, connected, reason }: SlotInfo) {
  const isAway = state === 'leased' && !connected;
  return [
    slot,
    isAway ? 'leased (away)' : state,
    since === null ? '' : duration((Date.now() - since) / 1000),
    String(processes),
    String(viewers),
    network,
    label ?? '',
    reason ?? running ?? '',
  ];
}

const CAST_HEAD = ['CAST', 'SLOT', 'STARTED', 'DURATION', 'SIZE', 'COMMANDS', 'PINNED', 'LABEL'];

function castRow({ cast, slot, startedAt, duration: seconds, bytes, commands, label, live, pinned }: CastInfo) {
  const started = new Date(startedAt).toISOString().slice(0, 19).replace('T', ' ');
  const length = `${duration(seconds)}${live ? ' (live)' : ''}`;
  return [cast, slot, started, length, size(bytes), String(commands), pinned ? 'yes' : '', label ?? ''];
}
