// One-time tickets: a program that has a token opens a browser with one, and the page turns it into a cookie. A ticket works once and not for long.
import { randomBytes } from 'node:crypto';
import type { Admission } from './token.ts';

/** From the program that prints the address to the page that opens: a person may have to copy it. */
const TICKET_TTL_MS = 5 * 60_000;
/** For an address that is printed at the start of a gateway: people read on before they open it. */
export const PRINTED_TTL_MS = 15 * 60_000;
/** More at once than browsers that anybody opens. */
const MAX_TICKETS = 1000;

export class Tickets {
  readonly #now: () => number;
  readonly #open = new Map<string, { readonly admission: Admission; readonly untilMs: number }>();

  /** `now` in monotonic ms. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  mint(admission: Admission, ttlMs = TICKET_TTL_MS): string {
    if (this.#open.size >= MAX_TICKETS) this.#forgetOne(admission);
    const ticket = randomBytes(24).toString('base64url');
    this.#open.set(ticket, { admission, untilMs: this.#now() + ttlMs });
    return ticket;
  }

  /** The oldest of the same party if it has any: who asks for many takes the room from nobody else. */
  #forgetOne(asking: Admission): void {
    const [oldest] = this.#open.keys();
    const own = [...this.#open].find(([, { admission }]) => partyOf(admission) === partyOf(asking))?.[0];
    const forgotten = own ?? oldest;
    if (forgotten !== undefined) this.#open.delete(forgotten);
  }

  /** Whose ticket it is; null when there is none such, or no more. */
  take(ticket: string): Admission | null {
    const known = this.#open.get(ticket);
    this.#open.delete(ticket);
    return known === undefined || known.untilMs < this.#now() ? null : known.admission;
  }
}

/** A session is the same party as the token that it was made from. */
const partyOf = ({ from, id }: Admission): string => from ?? id;
