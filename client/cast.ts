// cast: recordings, one for each lease.

import type { CastInfo } from '../protocol/cast.ts';
import type { Params, Result } from '../protocol/contract.ts';
import type { Frame } from '../protocol/frame.ts';
import { type Download, downloadOf } from './file.ts';
import type { Http } from './http.ts';
import type { Caller, CallOptions } from './rpc.ts';

export class Casts {
  readonly #call: Caller;
  readonly #http: Http;

  constructor(call: Caller, http: Http) {
    this.#call = call;
    this.#http = http;
  }

  /** One page, newest first; `before` with the last of a page gives the next one. */
  async list(params: Params<'cast.list'> = {}, options?: CallOptions): Promise<readonly CastInfo[]> {
    return (await this.#call('cast.list', params, options)).casts;
  }

  /** All of them, page by page, newest first. */
  async *all(params: Omit<Params<'cast.list'>, 'before'> = {}): AsyncGenerator<CastInfo, void, undefined> {
    for (let before: string | undefined; ; ) {
      const page = await this.list(before === undefined ? params : { ...params, before });
      yield* page;
      before = page.at(-1)?.cast;
      if (before === undefined) return;
    }
  }

  async info(cast: string, options?: CallOptions): Promise<Result<'cast.info'>> {
    return await this.#call('cast.info', { cast }, options);
  }

  /** The screen at a moment, in seconds. */
  async seek(
    cast: string,
    time: number,
    { text = false, ...options }: CallOptions & { readonly text?: boolean } = {},
  ): Promise<Result<'cast.seek'>> {
    return await this.#call('cast.seek', text ? { cast, time, text } : { cast, time }, options);
  }

  /** Whether it is as it was recorded: only then `ok` is true. */
  async verify(cast: string, options?: CallOptions): Promise<Result<'cast.verify'>> {
    return await this.#call('cast.verify', { cast }, options);
  }

  /** Keeps it whatever the rule for old recordings says, or no more. */
  async pin(cast: string, pinned = true, options?: CallOptions): Promise<void> {
    await this.#call('cast.pin', { cast, pinned }, options);
  }

  /** What one command printed, as text. */
  async output(params: Params<'cast.output'>, options?: CallOptions): Promise<Result<'cast.output'>> {
    return await this.#call('cast.output', params, options);
  }

  async read(params: Params<'cast.read'>, options?: CallOptions): Promise<Result<'cast.read'>> {
    return await this.#call('cast.read', params, options);
  }

  /** Every frame with from ≤ time < to, in seconds, read in as many steps as it takes. */
  async *frames({ cast, from = 0, to }: Params<'cast.read'>): AsyncGenerator<Frame, void, undefined> {
    for (let next: number | undefined = from; next !== undefined; ) {
      const page: Result<'cast.read'> = await this.read({ cast, from: next, ...(to === undefined ? {} : { to }) });
      yield* page.frames;
      next = page.truncated ? page.next : undefined;
    }
  }

  /** The recording as a file: asciicast v3, `v2`, or `txt`. */
  async download(
    cast: string,
    { format, signal }: CallOptions & { readonly format?: 'v2' | 'v3' | 'txt' } = {},
  ): Promise<Download> {
    const query = format === undefined ? '' : `?format=${format}`;
    return downloadOf(await this.#http.request(`casts/${encodeURIComponent(cast)}.cast${query}`, { signal }));
  }
}
