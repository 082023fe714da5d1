// Tokens: made, read and taken back. A JWT (HS256) says its role, what it is for and its end itself; the key never leaves this file.
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { join } from 'node:path';
import { decodeJwt, errors, jwtVerify, SignJWT } from 'jose';
import { z } from 'zod';
import { castId } from '../../protocol/cast.ts';
import { Fault } from '../../protocol/fault.ts';
import { type Role, roles } from '../../protocol/method.ts';
import { slotName } from '../../protocol/value.ts';
import { removeDrafts } from '../atomic-file.ts';
import { Lifetimes } from './lifetime.ts';
import { Revocations } from './revocation.ts';
import type { Scope } from './scope.ts';
import { readOrMakeSecret, readSecret, writeSecret } from './secret-file.ts';

/** As long as the digest of HS256: more adds nothing, less weakens it. */
const KEY_BYTES = 32;
/** What a person chooses may be guessed below this. */
export const MIN_TOKEN_LENGTH = 32;
/** Ours have about 250 characters; what is much longer is not worth a digest. */
const MAX_TOKEN_LENGTH = 4096;
/** Somebody may set the clock: how late an end is noticed then. Also far less than a Node timer can hold. */
const LOOK_MS = 60_000;

/** Whether such a token may be: one for a recording drives nothing, and is for no slot beside it. */
export const isFitting = ({
  role,
  slot,
  cast,
}: {
  readonly role: Role;
  readonly slot?: string | null | undefined;
  readonly cast?: string | null | undefined;
}): boolean => (cast ?? null) === null || (role === 'viewer' && (slot ?? null) === null);

const claims = z
  .object({
    role: z.enum(roles),
    slot: slotName.optional(),
    cast: castId.optional(),
    exp: z.number().optional(),
    jti: z.string().min(1).max(200).optional(),
    /** The token that this one was made from; it ends with it. */
    from: z.string().optional(),
  })
  .refine(isFitting);

/** What a credential allows, and until when. Fits a connection's grant. */
export interface Admission extends Scope {
  /** Name for logs and for revoking: never the credential itself. */
  readonly id: string;
  /** Name of the token that this one was made from. */
  readonly from: string | null;
  readonly role: Role;
  /** ms since 1970; null = no end. */
  readonly expiresAtMs: number | null;
}

export interface TokenOrder {
  readonly role: Role;
  readonly slot: string | null;
  /** Only this recording: for a viewer, without a slot. */
  readonly cast?: string | null;
  /** null = without end. */
  readonly ttlMs: number | null;
  /** Name of the token that it is made from, which it can't outlive. */
  readonly from?: string | null;
}

export interface MintedToken {
  readonly token: string;
  readonly id: string;
  readonly expiresAtMs: number | null;
}

export interface TokenOptions {
  readonly dataDir: string;
  /** SLOTCAST_TOKEN or --token-file: an admin's credential, which replaces the one in the data directory. */
  readonly fixed?: string | undefined;
  /** Wall clock, ms since 1970. */
  readonly now?: () => number;
  /** Monotonic ms. */
  readonly elapsed?: () => number;
}

interface TokenParts {
  readonly key: Uint8Array;
  readonly fixed: Buffer | null;
  readonly revocations: Revocations;
  readonly now: () => number;
  readonly lifetimes: Lifetimes;
}

export class Tokens {
  readonly #key: Uint8Array;
  readonly #fixed: Buffer | null;
  readonly #revocations: Revocations;
  readonly #now: () => number;
  readonly #lifetimes: Lifetimes;

  private constructor(parts: TokenParts) {
    this.#key = parts.key;
    this.#fixed = parts.fixed;
    this.#revocations = parts.revocations;
    this.#now = parts.now;
    this.#lifetimes = parts.lifetimes;
  }

  /** To mint only: leaves the admin's token as it is, whoever took it away. */
  static async minter({
    dataDir,
    now = Date.now,
  }: Pick<TokenOptions, 'dataDir' | 'now'>): Promise<Pick<Tokens, 'mint'>> {
    const key = await readKey(dataDir);
    const clocks = { now, elapsed: () => performance.now() };
    const revocations = await Revocations.open({ path: join(dataDir, 'revoked.json'), ...clocks });
    return new Tokens({ key, fixed: null, revocations, now, lifetimes: new Lifetimes(clocks) });
  }

  /** Reads key, admin token and list from the data directory; the first start makes them. */
  static async open(options: TokenOptions): Promise<Tokens> {
    const { dataDir, fixed, now = Date.now, elapsed = () => performance.now() } = options;
    if (fixed !== undefined && fixed.length < MIN_TOKEN_LENGTH) {
      throw new Error(
        `SLOTCAST_TOKEN or --token-file has ${fixed.length} characters; it needs at least ${MIN_TOKEN_LENGTH}.`,
      );
    }
    await removeDrafts(dataDir);
    const key = await readKey(dataDir);
    const revocations = await Revocations.open({ path: join(dataDir, 'revoked.json'), now, elapsed });
    const digest = fixed === undefined ? null : sha256(fixed);
    const lifetimes = new Lifetimes({ now, elapsed });
    const tokens = new Tokens({ key, fixed: digest, revocations, now, lifetimes });
    await tokens.#settleAdmin(join(dataDir, 'token'));
    return tokens;
  }

  /** Faults: INVALID_PARAMS for a token of one recording that is more than a viewer's. */
  async mint({ role, slot, cast = null, ttlMs, from = null }: TokenOrder): Promise<MintedToken> {
    if (!isFitting({ role, slot, cast })) {
      throw new Fault('INVALID_PARAMS', 'A token for one recording is for a viewer, and names no slot.');
    }
    const id = `tok_${randomBytes(9).toString('base64url')}`;
    const expiresAtMs = ttlMs === null ? null : this.#now() + ttlMs;
    const given = Object.entries({ slot, cast, from }).filter(([, value]) => value !== null);
    const jwt = new SignJWT({ role, ...Object.fromEntries(given) })
      .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
      .setJti(id)
      .setIssuedAt(Math.floor(this.#now() / 1000));
    if (expiresAtMs !== null) jwt.setExpirationTime(expiresAtMs / 1000);
    if (ttlMs !== null) this.#lifetimes.begin(id, ttlMs);
    return { token: await jwt.sign(this.#key), id, expiresAtMs };
  }

  /** What this token allows; UNAUTHENTICATED when it is wrong, has expired or was revoked. */
  async verify(token: string): Promise<Admission> {
    if (this.#fixed !== null && timingSafeEqual(sha256(token), this.#fixed)) return ADMIN;
    const { role, slot = null, cast = null, exp, jti, from = null } = await this.#read(token);
    const id = jti ?? `tok_${sha256(token).toString('base64url').slice(0, 12)}`;
    const expiresAtMs = exp === undefined ? null : exp * 1000;
    if (this.#lifetimes.leftMs({ id, expiresAtMs }) <= 0) throw expired();
    const admission: Admission = { id, from, role, slot, cast, expiresAtMs };
    if (this.#isRevoked(admission)) throw new Fault('UNAUTHENTICATED', 'The token was revoked.');
    return admission;
  }

  /** Whether it is one that was minted here: with a signature of 256 bits, which nobody guesses. */
  async isSigned(token: string): Promise<boolean> {
    try {
      await this.#read(token);
      return true;
    } catch {
      return false;
    }
  }

  /** Ends a token by its name, and with it whatever it or a session made from it holds open. Faults: NO_SPACE, when only a restart would not know of it. */
  async revoke(id: string, expiresAtMs: number | null = null): Promise<void> {
    await this.#revocations.add({ id, untilMs: expiresAtMs }, this.#lifetimes.leftMs({ id, expiresAtMs }));
  }

  /** How long it still lives; Infinity when it has no end. */
  leftMs(admission: Admission): number {
    return this.#lifetimes.leftMs(admission);
  }

  /** Calls once when the admission ends: by its time or by being revoked. */
  onEnd(admission: Admission, listener: (reason: string) => void): { close(): void } {
    let timer: NodeJS.Timeout | undefined;
    const end = (reason: string): void => {
      close();
      listener(reason);
    };
    const subscription = this.#revocations.listen(() => {
      if (this.#isRevoked(admission)) end('The token was revoked.');
    });
    const close = (): void => {
      clearTimeout(timer);
      subscription.close();
    };
    const wait = (): void => {
      const leftMs = this.leftMs(admission);
      if (this.#isRevoked(admission)) end('The token was revoked.');
      else if (leftMs <= 0) end('The token has expired.');
      else if (Number.isFinite(leftMs)) timer = setTimeout(wait, Math.min(leftMs, LOOK_MS)).unref();
    };
    wait();
    return { close };
  }

  /** Resolves when nothing is written any more. */
  async close(): Promise<void> {
    await this.#revocations.close();
  }

  #isRevoked({ id, from }: Admission): boolean {
    return this.#revocations.has(id) || (from !== null && this.#revocations.has(from));
  }

  async #read(token: string): Promise<z.output<typeof claims>> {
    if (token.length > MAX_TOKEN_LENGTH) throw wrong();
    try {
      // Whether it has expired is seen afterwards, by the clock that counts for it.
      const { payload } = await jwtVerify(token, this.#key, { algorithms: ['HS256'], currentDate: new Date(0) });
      return claims.parse(payload);
    } catch (error) {
      throw error instanceof errors.JWTExpired ? expired() : wrong();
    }
  }

  /** Makes the admin's token, or with a fixed one ends that which was made before. */
  async #settleAdmin(path: string): Promise<void> {
    if (this.#fixed !== null) {
      const former = await readSecret(path);
      const id = former === null ? undefined : idOf(former.toString('utf8').trim());
      if (id !== undefined && !this.#revocations.has(id)) await this.#revocations.add({ id, untilMs: null });
      return;
    }
    const known = await readSecret(path);
    const works = known !== null && (await this.#works(known.toString('utf8').trim()));
    if (works) return;
    const { token } = await this.mint({ role: 'admin', slot: null, ttlMs: null });
    await writeSecret(path, `${token}\n`);
  }

  async #works(token: string): Promise<boolean> {
    try {
      return (await this.verify(token)).role === 'admin';
    } catch {
      return false;
    }
  }
}

/** Never a shorter one: it could be guessed. */
async function readKey(dataDir: string): Promise<Uint8Array> {
  const key = await readOrMakeSecret(join(dataDir, 'secret.key'), () => randomBytes(KEY_BYTES));
  if (key.length === KEY_BYTES) return key;
  throw new Error('secret.key in the data directory is damaged. Remove it: a new one is made, and old tokens end.');
}

const ADMIN: Admission = { id: 'fixed', from: null, role: 'admin', slot: null, cast: null, expiresAtMs: null };

const sha256 = (text: string): Buffer => createHash('sha256').update(text).digest();
const wrong = (): Fault => new Fault('UNAUTHENTICATED', 'The token is wrong.');
const expired = (): Fault => new Fault('UNAUTHENTICATED', 'The token has expired.');

function idOf(token: string): string | undefined {
  try {
    return decodeJwt(token).jti;
  } catch {
    return undefined;
  }
}
