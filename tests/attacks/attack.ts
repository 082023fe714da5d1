// An attack as a test: once against a gateway of root's, once against an ordinary user's, where it can depend on that.
import { type TestContext, test } from 'vitest';
import { type AttackId, catalogue, type Row, type User } from './catalogue.ts';

declare module 'vitest' {
  interface TaskMeta {
    /** For the table. */
    attack?: { readonly id: AttackId; readonly as: User };
  }
}

const isRoot = process.getuid?.() === 0;

/** Who is tried: an ordinary user can't be root. */
const users: readonly User[] = isRoot ? ['root', 'user'] : ['user'];

/** `run` tries the attack against a gateway of that user. Several tests may have the same id: each has to hold. */
export function attack(id: AttackId, run: (as: User, context: TestContext) => Promise<void>, timeoutMs?: number): void {
  const { attack: what, must, untested }: Row = catalogue[id];
  for (const as of users) {
    if (typeof untested === 'object' && untested[as] !== undefined) continue;
    const meta = { attack: { id, as } };
    test(
      `${id} as ${as}: ${what}: ${must}`,
      { meta, ...(timeoutMs === undefined ? {} : { timeout: timeoutMs }) },
      (context) => run(as, context),
    );
  }
}

/** For what is the same whoever runs the gateway: tried as the one who runs the tests. */
export function attackOnce(id: AttackId, run: (context: TestContext) => Promise<void>, timeoutMs?: number): void {
  const { attack: what, must }: Row = catalogue[id];
  const meta = { attack: { id, as: isRoot ? ('root' as const) : ('user' as const) } };
  test(`${id}: ${what}: ${must}`, { meta, ...(timeoutMs === undefined ? {} : { timeout: timeoutMs }) }, (context) =>
    run(context),
  );
}
