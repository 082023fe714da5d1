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
    const ticket = randomBytes(24).toString('base64url');
    this.#open.set(ticket, { admission, untilMs: this.#now() + ttlMs });
    const [oldest] = this.#open.keys();
    if (this.#open.size > MAX_TICKETS && oldest !== undefined) this.#open.delete(oldest);
    return ticket;
  }

  /** Whose ticket it is; null when there is none such, or no more. */
  take(ticket: string): Admission | null {
    const known = this.#open.get(ticket);
    this.#open.delete(ticket);
    return known === undefined || known.untilMs < this.#now() ? null : known.admission;
  }
}
