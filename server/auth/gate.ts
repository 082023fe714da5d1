// The one place where a request gets in or not: Host and Origin, credential, role. It never says more than the caller may know.
import { Fault } from '../../protocol/fault.ts';
import { type Role, roles } from '../../protocol/method.ts';
import { Attempts } from './attempt.ts';
import { type Carrier, findCredential } from './credential.ts';
import { checkOrigin, type OriginPolicy } from './origin.ts';
import type { Admission, Tokens } from './token.ts';

/** A request as Node gives it. */
export interface Visitor extends Carrier {
  readonly socket: { readonly remoteAddress?: string | undefined };
}

export interface GateOptions {
  /** null lets everybody in as admin: for a gateway that only its own host can reach. */
  readonly tokens: Tokens | null;
  readonly origins: OriginPolicy;
  readonly attempts?: Attempts;
}

export class Gate {
  readonly #options: GateOptions;
  readonly #attempts: Attempts;
  readonly #admitted = new WeakSet<Visitor['socket']>();

  constructor(options: GateOptions) {
    this.#options = options;
    this.#attempts = options.attempts ?? new Attempts();
  }

  /** FORBIDDEN for a foreign Host or Origin. */
  checkOrigin(visitor: Visitor): void {
    checkOrigin(visitor, this.#options.origins);
  }

  /** What the request's credential allows. UNAUTHENTICATED without a right one, RATE_LIMITED after many wrong ones. */
  async admit(visitor: Visitor): Promise<Admission> {
    const admission = await this.#admit(visitor);
    this.#admitted.add(visitor.socket);
    return admission;
  }

  /** Whether a request on this connection had a right credential. */
  hasAdmitted(socket: Visitor['socket']): boolean {
    return this.#admitted.has(socket);
  }

  async #admit(visitor: Visitor): Promise<Admission> {
    const credential = findCredential(visitor);
    const { tokens } = this.#options;
    if (tokens === null) return ANYBODY;
    if (credential === null) {
      throw new Fault('UNAUTHENTICATED', 'A credential is needed. Send Authorization: Bearer TOKEN.');
    }
    const address = visitor.socket.remoteAddress ?? '';
    const waitMs = this.#attempts.waitMs(address, credential.token);
    // Others may share the address, behind a proxy or on this host: who has what can't be guessed is not held back with a guesser.
    if (waitMs > 0 && !(await tokens.isSigned(credential.token))) {
      const afterMs = Math.ceil(waitMs);
      throw new Fault('RATE_LIMITED', `Too many wrong credentials. Wait ${afterMs} ms.`, { afterMs });
    }
    const attempt = this.#attempts.begin(address);
    const admission = await tokens.verify(credential.token);
    attempt.succeeded(credential.token);
    return admission;
  }

  /** Calls once when the admission ends while something is open by it. */
  onEnd(admission: Admission, listener: (reason: string) => void): { close(): void } {
    return this.#options.tokens?.onEnd(admission, listener) ?? { close: () => {} };
  }
}

/** FORBIDDEN when the role is less than what is needed. */
export function requireRole(has: Role, needs: Role, what: string): void {
  if (roles.indexOf(has) >= roles.indexOf(needs)) return;
  throw new Fault('FORBIDDEN', `${what} needs the role ${needs}; this credential has ${has}.`);
}

const ANYBODY: Admission = { id: 'anybody', from: null, role: 'admin', slot: null, cast: null, expiresAtMs: null };
