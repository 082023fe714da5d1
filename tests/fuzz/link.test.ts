// The link between gateway and keeper: whatever is said on it, the keeper and what runs in it live on, and the next gateway has it all.
import { connect } from 'node:net';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { framesBehind } from '../../server/cast/tail.ts';
import { castDirectory } from '../../server/keeper/cast-place.ts';
import { RemoteKeeper } from '../../server/keeper/link/remote-keeper.ts';
import { encodeMessage, MessageDecoder } from '../../server/keeper/link/wire.ts';
import { DEFAULT_POLICY } from '../../server/keeper/sandbox/policy.ts';
import { endKeeper, keeperOf } from '../support/keeper.ts';
import { type Home, makeHome, order } from '../unit/keeper/place-fixture.ts';
import { asFound, asked, timeout } from './fuzz.ts';
import { damage, pieces } from './mutation.ts';

let home: Home;
let pid: number | null;
const disk = { diskBytes: 0, files: 0, minFreeBytes: 0 };
const how = { policy: DEFAULT_POLICY, record: 'best-effort', recordInput: false, uidBase: 420_000 } as const;

async function reach(): Promise<RemoteKeeper> {
  const { dataDir } = home;
  return await RemoteKeeper.open({
    settings: { dataDir, disk, aloneMs: 600_000, ...how },
    version: 'test',
    log: { error: () => undefined },
    readFrames: (cast, from) => framesBehind(castDirectory(dataDir), cast, from),
  });
}

beforeAll(async () => {
  home = await makeHome();
  const keeper = await reach();
  const place = await keeper.preparePlace('slot_0');
  await keeper.openLog({ cast: 'cast_one', slot: 'slot_0', label: null, cols: 80, rows: 24 }, place);
  const marker = { cast: 'cast_one', process: 'p1', command: 'bystander' };
  await keeper.startProcess({ place, network: 'none', order: order('sleep 1000', { timeoutMs: 0 }), marker });
  keeper.leave();
  pid = keeperOf(home.dataDir);
});
afterAll(async () => {
  await endKeeper(home.dataDir);
  await home.remove();
});

/** Says it to the keeper on a connection of its own; resolves when that is over. */
async function say(parts: readonly Uint8Array[]): Promise<void> {
  await new Promise<void>((resolve) => {
    const socket = connect(join(home.dataDir, 'keeper.sock'));
    socket.on('error', () => undefined);
    socket.once('close', () => resolve());
    socket.resume();
    for (const part of parts) socket.write(part);
    socket.end();
  });
}

/** What was there before is there still, for a gateway that comes now. */
async function expectUnharmed(): Promise<void> {
  expect(keeperOf(home.dataDir)).toBe(pid);
  const keeper = await reach();
  try {
    const kept = keeper.takeKept('slot_0');
    expect(kept?.spec.cast).toBe('cast_one');
    expect(kept?.processes.get('p1')?.end).toBeNull();
  } finally {
    keeper.leave();
  }
}

const settings = { dataDir: '/', disk, aloneMs: 600_000, ...how };
const value = fc.oneof(
  fc.constantFrom(null, -1, 0, 1, 2, 99, 'cast_one', 'slot_0', '../../x', 'p1', [], {}, settings),
  fc.string({ maxLength: 20 }),
  fc.uint8Array({ maxLength: 20 }),
  fc.jsonValue({ maxDepth: 2 }),
);
/** Not close and kill, which do what they say, and not what ends what the bystander stands in. */
const name = fc.constantFrom(
  ...['follow', 'outputOf', 'writeProcess', 'startProcess', 'startTerminal', 'writeTerminal', 'struckTerminal'],
  ...['spaceLeft', 'spaceTaken', 'append', 'closeInput', 'subscribe', 'unsubscribe', 'taken', 'answerTerminal'],
  ...[
    'resizeTerminal',
    'signalTerminal',
    'ping',
    'attach',
    'preparePlace',
    'flushLog',
    'constructor',
    '__proto__',
    'x',
  ],
);
const field = fc.constantFrom(
  'cast',
  'slot',
  'place',
  'spec',
  'process',
  'terminal',
  'as',
  'from',
  'data',
  'order',
  'after',
);
const params = fc.oneof(value, fc.dictionary(field, value, { maxKeys: 6 }));
const message = fc.oneof(
  fc.record({ id: fc.nat(), name, params }),
  fc.record({ name, params }),
  fc.record({ re: fc.nat(), ok: value }),
  fc.record({ re: fc.nat(), fault: value }),
  value,
);

test('messages that mean nothing, to a keeper that another gateway may attach to', { timeout }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(message, { minLength: 1, maxLength: 12 }), async (messages) => {
      await say(messages.flatMap((one) => [...encodeMessage(one)]));
    }),
    asked(60, asFound),
  );
  await expectUnharmed();
});

test('the bytes of an attaching gateway, damaged and cut anywhere', { timeout }, async () => {
  const good = Buffer.concat([
    ...encodeMessage({ id: 1, name: 'ping', params: null }),
    ...encodeMessage({ id: 2, name: 'follow', params: { cast: 'cast_one', after: 0, skip: false } }),
    ...encodeMessage({ name: 'note', params: { cast: 'cast_one', name: 'n', text: 'x' } }),
  ]);
  await fc.assert(
    fc.asyncProperty(damage([good]), fc.array(fc.nat(), { maxLength: 6 }), async (change, cuts) => {
      await say(pieces(change(good), cuts));
    }),
    asked(60, asFound),
  );
  await expectUnharmed();
});

test('any bytes are the same messages however they are cut, or an end', { timeout }, () => {
  const read = (parts: readonly Uint8Array[]): unknown[] => {
    const decoder = new MessageDecoder();
    const found: unknown[] = [];
    try {
      for (const part of parts) for (const one of decoder.decode(Buffer.from(part))) found.push(one);
    } catch (error) {
      found.push((error as Error).name);
    }
    return found;
  };
  fc.assert(
    fc.property(fc.array(message, { maxLength: 4 }), fc.array(fc.nat(), { maxLength: 8 }), (messages, cuts) => {
      const bytes = Buffer.concat(messages.flatMap((one) => encodeMessage(one)));
      expect(read(pieces(bytes, cuts))).toEqual(read([bytes]));
    }),
    asked(500),
  );
});
