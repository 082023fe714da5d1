// file: the slot's workspace. Small files go as messages, large ones as streams over HTTP.
import type { Params, Result } from '../protocol/contract.ts';
import type { FileEntry } from '../protocol/file.ts';
import { decodeBase64, encodeBase64 } from './base64.ts';
import { encodePath, type Http } from './http.ts';
import type { Caller, CallOptions } from './rpc.ts';

export type Body = string | Uint8Array<ArrayBuffer> | Blob | ReadableStream<Uint8Array> | AsyncIterable<Uint8Array>;

export interface UploadOptions extends CallOptions {
  /** Writes only over a file with this content. */
  readonly expectedSha256?: string;
}

export interface DownloadOptions extends CallOptions {
  /** Bytes from here on. */
  readonly offset?: number;
  /** At most so many bytes. */
  readonly maxBytes?: number;
}

export interface Download {
  readonly stream: ReadableStream<Uint8Array>;
  /** Of what the stream brings; null when the gateway does not know. */
  readonly bytes: number | null;
  readonly mime: string;
}

export interface FileParts {
  readonly slot: string;
  readonly call: Caller;
  readonly http: Http;
}

export class Files {
  readonly #parts: FileParts;

  constructor(parts: FileParts) {
    this.#parts = parts;
  }

  /** The content as text, or base64 with `encoding: 'base64'`; a part of it by `offset` and `maxBytes`. */
  async read(params: Params<'file.read'>, options?: CallOptions): Promise<Result<'file.read'>> {
    return await this.#parts.call('file.read', params, options);
  }

  /** The whole content as text. TOO_LARGE above 16 MiB: use `download`. */
  async readText(path: string, options?: CallOptions): Promise<string> {
    return new TextDecoder().decode(await this.readBytes(path, options));
  }

  async readBytes(path: string, options?: CallOptions): Promise<Uint8Array<ArrayBuffer>> {
    const whole = { path, encoding: 'base64', maxBytes: MAX_INLINE_BYTES } as const;
    const { data, truncated } = await this.#parts.call('file.read', whole, options);
    if (truncated) throw new RangeError(`${path} has more than ${MAX_INLINE_BYTES} bytes. Use download().`);
    return decodeBase64(data);
  }

  /** Writes the file whole or not at all; parents are made. Bytes or text. */
  async write(
    params: Omit<Params<'file.write'>, 'data'> & { readonly data: string | Uint8Array },
    options?: CallOptions,
  ): Promise<Result<'file.write'>> {
    const { data, ...rest } = params;
    const content = typeof data === 'string' ? { data } : { data: encodeBase64(data), encoding: 'base64' as const };
    return await this.#parts.call('file.write', { ...rest, ...content }, options);
  }

  /** What a directory contains; `truncated` when there is more than `maxEntries`. */
  async list(params: Params<'file.list'> = {}, options?: CallOptions): Promise<Result<'file.list'>> {
    return await this.#parts.call('file.list', params, options);
  }

  async stat(path: string, options?: CallOptions): Promise<FileEntry & { readonly mode: number }> {
    return await this.#parts.call('file.stat', { path }, options);
  }

  /** With `recursive` a directory and all below it. */
  async remove(params: Params<'file.remove'>, options?: CallOptions): Promise<void> {
    await this.#parts.call('file.remove', params, options);
  }

  async mkdir(path: string, options?: CallOptions): Promise<void> {
    await this.#parts.call('file.mkdir', { path }, options);
  }

  async move(params: Params<'file.move'>, options?: CallOptions): Promise<void> {
    await this.#parts.call('file.move', params, options);
  }

  /** Writes a file of any size from a stream, whole or not at all. */
  async upload(path: string, body: Body, options: UploadOptions = {}): Promise<Result<'file.write'>> {
    const { expectedSha256, signal } = options;
    const headers = expectedSha256 === undefined ? {} : { 'if-match': `"${expectedSha256}"` };
    const reply = await this.#parts.http.request(this.#url(path), {
      method: 'PUT',
      headers: { 'content-type': 'application/octet-stream', ...headers },
      body: isIterable(body) ? streamOf(body) : body,
      signal,
    });
    return (await reply.json()) as Result<'file.write'>;
  }

  /** Reads a file of any size as a stream. */
  async download(path: string, options: DownloadOptions = {}): Promise<Download> {
    const { offset = 0, maxBytes, signal } = options;
    const isPart = offset > 0 || maxBytes !== undefined;
    const last = maxBytes === undefined ? '' : offset + maxBytes - 1;
    const headers = isPart ? { range: `bytes=${offset}-${last}` } : {};
    return downloadOf(await this.#parts.http.request(this.#url(path), { headers, signal }));
  }

  #url(path: string): string {
    return `slots/${encodeURIComponent(this.#parts.slot)}/files/${encodePath(path)}`;
  }
}

/** As in protocol/file.ts, which is not imported for the sake of browsers: it brings the schemas. */
const MAX_INLINE_BYTES = 16 * 1024 * 1024;

/** What a reply brings, as a stream. */
export function downloadOf(reply: Response): Download {
  const length = reply.headers.get('content-length');
  return {
    stream: reply.body ?? new Blob([]).stream(),
    bytes: length === null ? null : Number(length),
    mime: reply.headers.get('content-type') ?? 'application/octet-stream',
  };
}

const isIterable = (body: Body): body is AsyncIterable<Uint8Array> =>
  typeof body === 'object' && !(body instanceof ReadableStream) && Symbol.asyncIterator in body;

function streamOf(source: AsyncIterable<Uint8Array>): ReadableStream<Uint8Array> {
  const iterator = source[Symbol.asyncIterator]();
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await iterator.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    async cancel() {
      await iterator.return?.();
    },
  });
}
