// The page's one connection: signs in by cookie, comes back by itself, and holds what the gateway tells of its slots.
import { type Client, connect, Fault, type SlotInfo, type SlotWatch } from '../../../client/index.ts';
import {
  currentSession,
  type Secret,
  type Session,
  signInByTicket,
  signInByToken,
  signOut,
  takeSecret,
} from '../session/session.ts';
import { type Readable, Store } from '../store.ts';
import { Screens } from './screens.ts';

export type Link =
  /** Nothing has been heard yet. */
  | { readonly kind: 'connecting' }
  | { readonly kind: 'connected' }
  /** It was there, and is being looked for. */
  | { readonly kind: 'reconnecting'; readonly sinceMs: number }
  /** Somebody has to sign in; `reason` says why a sign-in failed. */
  | { readonly kind: 'signedOut'; readonly reason: string | null };

/** Between tries to reach a gateway that has never answered. */
const RETRY_MS = 1500;

export class Gateway {
  readonly link: Readable<Link>;
  readonly session = new Store<Session | null>(null);
  /** null until the first list. */
  readonly slots = new Store<readonly SlotInfo[] | null>(null);
  readonly screens = new Screens();
  readonly #link = new Store<Link>({ kind: 'connecting' });
  #client: Client | null = null;
  #waiting: ((client: Client) => void)[] = [];

  constructor() {
    this.link = this.#link;
  }

  /** Signs in by what the address brought, else by the cookie, then connects; tries until there is a gateway. */
  async start(): Promise<void> {
    const given = takeSecret();
    await this.#signIn(() => (given === null ? currentSession() : redeem(given)));
  }

  async signIn(token: string): Promise<void> {
    await this.#signIn(() => signInByToken(token));
  }

  async signOut(): Promise<void> {
    await signOut();
    // Everything that was shown goes with it.
    location.assign('/');
  }

  /** The connection, as soon as there is one; it outlasts losses by itself. */
  client(): Promise<Client> {
    if (this.#client !== null) return Promise.resolve(this.#client);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  async #signIn(by: () => Promise<Session | null>): Promise<void> {
    for (;;) {
      try {
        const session = await by();
        this.session.set(session);
        if (session !== null) return await this.#connect();
        return this.#link.set({ kind: 'signedOut', reason: null });
      } catch (error) {
        if (error instanceof Fault) return this.#link.set({ kind: 'signedOut', reason: error.message });
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
  }

  async #connect(): Promise<void> {
    const client = await connect({ url: location.origin });
    this.#client = client;
    client.on('connected', () => this.#link.set({ kind: 'connected' }));
    client.on('disconnected', ({ willReconnect }) => {
      if (willReconnect) this.#link.set({ kind: 'reconnecting', sinceMs: Date.now() });
    });
    client.on('closed', ({ error }) => {
      this.#client = null;
      this.#link.set({ kind: 'signedOut', reason: error instanceof Fault ? error.message : null });
    });
    this.#link.set({ kind: 'connected' });
    for (const resolve of this.#waiting.splice(0)) resolve(client);
    void this.#follow(await client.watchSlots());
    this.screens.attach(client);
  }

  async #follow(watch: SlotWatch): Promise<void> {
    try {
      for await (const slots of watch) this.slots.set(slots);
    } catch {
      // The link says how it ended.
    }
  }
}

/** A ticket works once: who reloads the page, or opens its address again, has a cookie already. */
async function redeem({ kind, secret }: Secret): Promise<Session> {
  try {
    return await (kind === 'ticket' ? signInByTicket(secret) : signInByToken(secret));
  } catch (error) {
    const session = error instanceof Fault ? await currentSession() : null;
    if (session === null) throw error;
    return session;
  }
}
