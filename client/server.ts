// server: what this gateway is and can do.
import type { Result } from '../protocol/contract.ts';
import type { Caller, CallOptions } from './rpc.ts';

export class Server {
  readonly #call: Caller;

  constructor(call: Caller) {
    this.#call = call;
  }

  /** Version, capabilities with remedies for what is missing, and limits. */
  async info(options?: CallOptions): Promise<Result<'server.info'>> {
    return await this.#call('server.info', {}, options);
  }

  /** The whole interface as an OpenRPC document. */
  async discover(options?: CallOptions): Promise<Result<'rpc.discover'>> {
    return await this.#call('rpc.discover', {}, options);
  }
}
