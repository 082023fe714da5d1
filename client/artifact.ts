// artifact: parts of the workspace as one archive, as a message or, when large, as a stream over HTTP.
import type { ArchiveFormat } from '../protocol/artifact.ts';
import type { Params, Result } from '../protocol/contract.ts';
import { type Download, downloadOf, type FileParts } from './file.ts';
import type { CallOptions } from './rpc.ts';

export class Artifacts {
  readonly #parts: FileParts;

  constructor(parts: FileParts) {
    this.#parts = parts;
  }

  /** Packs a file or directory; `data` is base64. TOO_LARGE above 16 MiB: use `download`. */
  async archive(params: Params<'artifact.archive'> = {}, options?: CallOptions): Promise<Result<'artifact.archive'>> {
    return await this.#parts.call('artifact.archive', params, options);
  }

  /** Packs it as a stream of any size. */
  async download(
    { path = '.', format = 'tar.gz' }: { readonly path?: string; readonly format?: ArchiveFormat } = {},
    { signal }: CallOptions = {},
  ): Promise<Download> {
    const { slot, http } = this.#parts;
    const query = new URLSearchParams({ path, format });
    return downloadOf(await http.request(`slots/${encodeURIComponent(slot)}/archive?${query}`, { signal }));
  }
}
