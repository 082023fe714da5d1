// The gateway's end of the link, with the types of its contract: what is asked, what is said, and to whom output goes.
import type { Socket } from 'node:net';
import { Fault } from '../../../protocol/fault.ts';
import type { StreamName } from '../keeper.ts';
import { Channel, LinkLost } from './channel.ts';
import type { Calls, News, Words } from './contract.ts';
import { bufferOf } from './wire.ts';

export type OutputListener = (stream: StreamName, data: Buffer, offset: number) => void;

export interface RemoteLinkOptions {
  readonly socket: Socket;
  readonly news: { readonly [N in Exclude<keyof News, 'chunk'>]: (params: News[N]) => void };
  readonly failed: (error: unknown, name: string) => void;
}

export class RemoteLink {
  readonly closed: Promise<void>;
  readonly #channel: Channel;
  readonly #outputs = new Map<number, OutputListener>();
  #subscriptions = 0;

  constructor({ socket, news, failed }: RemoteLinkOptions) {
    const chunk = ({ as, stream, data, offset }: News['chunk']): void =>
      this.#outputs.get(as)?.(stream, bufferOf(data), offset);
    this.#channel = new Channel(socket, { handlers: { ...news, chunk }, failed });
    this.closed = this.#channel.closed;
  }

  /** Faults of the keeper; SANDBOX_UNAVAILABLE when it is not there any more: whether it has done it nobody knows. */
  async call<C extends keyof Calls>(name: C, params: Calls[C][0]): Promise<Calls[C][1]> {
    return await this.callUnless(name, params, () => {
      throw keeperDied();
    });
  }

  /** The same; `lost` says what to make of a call that the keeper may have done before it died. */
  async callUnless<C extends keyof Calls, L>(name: C, params: Calls[C][0], lost: () => L): Promise<Calls[C][1] | L> {
    try {
      return (await this.#channel.call(name, params)) as Calls[C][1];
    } catch (error) {
      if (!(error instanceof LinkLost)) throw error;
      if (error.wasSent) return lost();
      throw keeperDied();
    }
  }

  tell<W extends keyof Words>(name: W, params: Words[W]): void {
    this.#channel.tell(name, params);
  }

  /** A name for somebody who wants output. */
  newSubscription(listener: OutputListener): number {
    const as = ++this.#subscriptions;
    this.#outputs.set(as, listener);
    return as;
  }

  endSubscription(as: number): void {
    if (this.#outputs.delete(as)) this.tell('unsubscribe', { as });
  }

  /** The keeper goes on. */
  close(): void {
    this.#channel.close();
  }

  destroy(): void {
    this.#channel.destroy();
  }
}

export const keeperDied = (): Fault =>
  new Fault(
    'SANDBOX_UNAVAILABLE',
    'The keeper, which runs the sandboxes, has died. A new one is being started: try again.',
  );
