// terminal: the slot's persistent shell. Every call but stop starts it when it is not there.
import type { Params, Result } from '../protocol/contract.ts';
import type { Caller, CallOptions } from './rpc.ts';

export class Terminal {
  readonly #call: Caller;

  constructor(call: Caller) {
    this.#call = call;
  }

  async start(params: Params<'terminal.start'> = {}, options?: CallOptions): Promise<Result<'terminal.start'>> {
    return await this.#call('terminal.start', params, options);
  }

  /** Runs a script in the shell; cwd, variables and jobs stay for the next one. TERMINAL_BUSY while a full-screen program runs. */
  async run(params: Params<'terminal.run'>, options?: CallOptions): Promise<Result<'terminal.run'>> {
    return await this.#call('terminal.run', params, options);
  }

  /** Text as typed. */
  async write(data: string, options?: CallOptions): Promise<void> {
    await this.#call('terminal.write', { data }, options);
  }

  /** Keys in tmux notation: `keys('Escape', ':wq', 'Enter')`. */
  async keys(...keys: string[]): Promise<void> {
    await this.#call('terminal.keys', { keys });
  }

  async resize(size: Params<'terminal.resize'>, options?: CallOptions): Promise<Result<'terminal.resize'>> {
    return await this.#call('terminal.resize', size, options);
  }

  /** The screen as it stands. */
  async capture(params: Params<'terminal.capture'> = {}, options?: CallOptions): Promise<Result<'terminal.capture'>> {
    return await this.#call('terminal.capture', params, options);
  }

  /** Waits for `text`, `regex`, `idleMs` of rest, or the `prompt`; `matched` says whether it came in time. */
  async wait(params: Params<'terminal.wait'>, options?: CallOptions): Promise<Result<'terminal.wait'>> {
    return await this.#call('terminal.wait', params, options);
  }

  /** Ends the shell and all that runs in it. */
  async stop(options?: CallOptions): Promise<Result<'terminal.stop'>> {
    return await this.#call('terminal.stop', {}, options);
  }
}
