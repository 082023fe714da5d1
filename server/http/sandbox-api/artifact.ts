// /artifacts/read, list and archive: files of the workspace as the predecessor gave them out.
import { Fault } from '../../../protocol/fault.ts';
import { MAX_INLINE_BYTES } from '../../../protocol/file.ts';
import type { Scope } from '../../auth/scope.ts';
import { slotNamed } from './execute.ts';
import type { HttpSlot } from './http-slot.ts';
import { plain } from './python.ts';
import { ApiError } from './reply.ts';

const DEFAULT_BYTES = 5_000_000;
const DEFAULT_ENTRIES = 5_000;

type Body = Readonly<Record<string, unknown>>;

export interface ArtifactOrder {
  readonly slots: ReadonlyMap<string, HttpSlot>;
  readonly body: Body;
  readonly scope: Scope;
}

export async function readArtifact({ slots, body, scope }: ArtifactOrder): Promise<object> {
  const slot = requireNamed(slots, body, scope);
  const path = textOf(body['path'], '');
  const encoding = textOf(body['encoding'], 'text');
  if (encoding !== 'text' && encoding !== 'base64') throw new ApiError(400, `Unsupported encoding: ${encoding}`);
  const maxBytes = Math.min(numberOf(body['max_bytes'], DEFAULT_BYTES), MAX_INLINE_BYTES);
  const wire = encoding === 'text' ? 'utf8' : 'base64';
  const file = await found(path, 'file', () => slot.call('file.read', { path, encoding: wire, maxBytes }));
  const { data, truncated, bytes, size, mime, sha256 } = file;
  const hash = body['include_sha256'] === true ? sha256 : null;
  return { success: true, content: data, encoding, truncated, bytes, file_size: size, path, mime, sha256: hash };
}

export async function listArtifacts({ slots, body, scope }: ArtifactOrder): Promise<object> {
  const slot = requireNamed(slots, body, scope);
  const path = textOf(body['path'], '.');
  const maxEntries = Math.min(Math.max(1, numberOf(body['max_entries'], DEFAULT_ENTRIES)), 100_000);
  const recursive = body['recursive'] === true;
  const listing = await found(path, 'dir', () => slot.call('file.list', { path, recursive, maxEntries }));
  const entries = listing.entries.map(({ path: name, kind, size, mtimeMs }) => ({
    path: name,
    is_dir: kind === 'dir',
    size,
    mtime: mtimeMs / 1000,
  }));
  return { success: true, entries, truncated: listing.truncated };
}

export async function packArtifacts({ slots, body, scope }: ArtifactOrder): Promise<object> {
  const slot = requireNamed(slots, body, scope);
  const path = textOf(body['path'], '.');
  const format = textOf(body['format'], 'tar.gz');
  if (format !== 'tar.gz' && format !== 'tgz') throw new ApiError(400, `Unsupported archive format: ${format}`);
  const maxBytes = Math.min(Math.max(1, numberOf(body['max_bytes'], DEFAULT_BYTES)), MAX_INLINE_BYTES);
  const maxEntries = Math.max(1, numberOf(body['max_entries'], DEFAULT_ENTRIES));
  const packed = await found(path, 'dir', () => slot.call('artifact.archive', { path, maxBytes, maxEntries })).catch(
    (error: unknown) => {
      if (!(error instanceof Fault) || error.fault !== 'TOO_LARGE') throw error;
      const bytes = typeof error.detail['bytes'] === 'number' ? error.detail['bytes'] : maxBytes + 1;
      throw new ApiError(413, `Archive too large: ${bytes} bytes (max ${maxBytes})`, { bytes });
    },
  );
  const { data, bytes, entries } = packed;
  return { success: true, content: data, encoding: 'base64', format: 'tar.gz', bytes, entry_count: entries };
}

function requireNamed(slots: ArtifactOrder['slots'], body: Body, scope: Scope): HttpSlot {
  const slot = slotNamed({ slots }, plain(body['slot_id']), scope);
  if (typeof slot === 'string') throw new ApiError(404, slot);
  return slot;
}

/** Failures of files in the predecessor's words and statuses. */
async function found<T>(path: string, wanted: 'file' | 'dir', work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    if (error.fault === 'PATH_OUTSIDE') throw new ApiError(403, 'Access denied: path outside workspace');
    if (error.fault === 'FILE_NOT_FOUND') throw new ApiError(404, `Not found: ${path}`);
    if (error.fault === 'WRONG_FILE_KIND') {
      throw new ApiError(400, wanted === 'file' ? `Not a file: ${path}` : `Not a directory: ${path}`);
    }
    throw error;
  }
}

const textOf = (given: unknown, otherwise: string): string => {
  if (given === undefined || given === null) return otherwise;
  return typeof given === 'string' ? given : String(plain(given));
};

function numberOf(given: unknown, otherwise: number): number {
  const value = plain(given);
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 ? value : otherwise;
}
