// The gateway that the tests go against when somebody else has started one, in a container for example: by SLOTCAST_TEST_URL, with the admin's
// token in SLOTCAST_TEST_TOKEN. What would need more than its port skips the test and says so; nothing passes without having been tried.
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { TestRunner } from 'vitest';
import { type Client, connect, Fault } from '../../client/index.ts';

/** Between two looks at a slot that is being emptied. */
const LOOK_MS = 50;

export interface Remote {
  readonly url: string;
  readonly token: string;
  /** Flags that it was started with, as far as tests ask for them: what it has is not asked for in vain. */
  readonly flags: readonly string[];
  /** Its data directory as this process sees it, where it does; links that tests put there lead to the same place for the gateway. */
  readonly dataDir: string | undefined;
}

const { SLOTCAST_TEST_URL, SLOTCAST_TEST_TOKEN, SLOTCAST_TEST_FLAGS, SLOTCAST_TEST_DATA_DIR, SLOTCAST_TEST_INSIDE } =
  process.env;

/** The tests themselves run in a container as the gateway's is, and start gateways there: what only a machine has is left out. */
export const inside = SLOTCAST_TEST_INSIDE !== undefined;

/** null = tests start gateways of their own. */
export const remote: Remote | null =
  SLOTCAST_TEST_URL === undefined
    ? null
    : {
        url: SLOTCAST_TEST_URL,
        token: SLOTCAST_TEST_TOKEN ?? '',
        flags: (SLOTCAST_TEST_FLAGS ?? '').split(' ').filter(Boolean),
        dataDir: SLOTCAST_TEST_DATA_DIR,
      };

/** Skips the test that asks for it. In a hook there is no test yet: there it gives something that skips whoever uses it. */
export function needs<T>(what: string): T {
  const test = TestRunner.getCurrentTest();
  if (test !== undefined) test.context.skip(`not tried here: needs ${what}`);
  const use = (): unknown => needs(what);
  const absent: unknown = new Proxy(function absent() {}, {
    get: (_target, name) => (name === 'then' ? undefined : use()),
    apply: use,
    construct: () => use() as object,
  });
  return absent as T;
}

/** For a test that counts all there is: the gateway of remote.ts has more slots, which are held, and recordings of them. */
export function alone(): void {
  if (remote !== null) needs('a gateway of its own');
}

/** Tells, once for each test, whether the one before it was left off in the middle: what it had begun is still there. */
export function leftOff(): () => boolean {
  let former: ReturnType<typeof TestRunner.getCurrentTest>;
  return () => {
    const before = former;
    former = TestRunner.getCurrentTest();
    return before !== undefined && before !== former && before.result?.state === 'skip';
  };
}

/** As an own gateway would be found at the start: nothing is leased, and there are as many slots as wanted. */
export class RemoteSlots {
  readonly #remote: Remote;
  readonly #wanted: number;
  #holders: Client[] = [];

  private constructor(to: Remote, wanted: number) {
    this.#remote = to;
    this.#wanted = wanted;
  }

  /** Reads `--slots` from the flags; skips the test that asks for any other that the gateway does not have. */
  static async open(to: Remote, flags: readonly string[]): Promise<RemoteSlots | null> {
    const unmet = flagPairs(flags).find(([name, value]) => name !== '--slots' && !has(to, name, value));
    if (unmet !== undefined) return null;
    const wanted = flagPairs(flags).find(([name]) => name === '--slots')?.[1];
    const slots = new RemoteSlots(to, Number(wanted ?? 4));
    await slots.free();
    if (to.dataDir !== undefined) emptyCasts(join(to.dataDir, 'casts'));
    await slots.#occupy();
    return slots;
  }

  /** Ends every lease. What an earlier test has left off in the middle may still be emptied, or be released by its own call. */
  async free(): Promise<void> {
    await Promise.all(this.#holders.splice(0).map((client) => client.close()));
    const admin = await this.#connect();
    try {
      for (;;) {
        const { slots } = await admin.call('slot.list', {});
        const held = slots.filter(({ state }) => state !== 'free');
        if (held.length === 0) return;
        const leased = held.filter(({ state }) => state === 'leased');
        const ended = await Promise.all(leased.map(async ({ slot }) => await this.#end(slot)));
        if (!ended.includes(true)) await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
      }
    } finally {
      await admin.close();
    }
  }

  /** Whether there was a lease to end. */
  async #end(slot: string): Promise<boolean> {
    const taker = await this.#connect();
    try {
      await taker.call('slot.takeover', { slot });
      await taker.call('slot.release', {});
      return true;
    } catch (error) {
      if (error instanceof Fault && error.fault === 'SLOT_BUSY') return false;
      throw error;
    } finally {
      await taker.close();
    }
  }

  /** Slots above the wanted number are held by nobody whom a test knows. */
  async #occupy(): Promise<void> {
    const admin = await this.#connect();
    const { slots } = await admin.call('slot.list', {});
    await admin.close();
    for (const { slot } of slots.slice(this.#wanted)) {
      const holder = await this.#connect();
      await holder.call('slot.acquire', { slot, label: 'not of this test' });
      this.#holders.push(holder);
    }
  }

  async #connect(): Promise<Client> {
    return await connect({ url: this.#remote.url, token: this.#remote.token });
  }
}

/** There is no call that removes a recording. */
function emptyCasts(dir: string): void {
  for (const name of readdirSync(dir)) rmSync(join(dir, name), { recursive: true, force: true });
}

const has = (to: Remote, name: string, value: string): boolean =>
  flagPairs(to.flags).some(([known, given]) => known === name && given === value);

function flagPairs(flags: readonly string[]): [name: string, value: string][] {
  return flags.flatMap((flag, index) => {
    const next = flags[index + 1];
    if (!flag.startsWith('--')) return [];
    return [[flag, next === undefined || next.startsWith('--') ? '' : next]];
  });
}
