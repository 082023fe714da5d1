// file and artifact: the workspace. A path is relative to it, or absolute below /workspace.
import { z } from 'zod';
import { method } from './method.ts';
import { empty, encoding } from './value.ts';

/** Any string goes in, so that a bad path is a fault that names it and not a refused message; the door decides. */
export const path = z.string().max(65_536);
export const kind = z.enum(['file', 'dir', 'symlink', 'other']);
export const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'a SHA-256 is 64 hex digits');

/** What one message may carry; more goes by the streaming HTTP routes. */
export const MAX_INLINE_BYTES = 16 * 1024 * 1024;
export const DEFAULT_READ_BYTES = 5_000_000;

export const fileEntry = z.object({ path: z.string(), kind, size: z.int(), mtimeMs: z.number() });
export type FileEntry = z.infer<typeof fileEntry>;
const onePath = z.strictObject({ path });
const pathFaults = ['PATH_OUTSIDE', 'FILE_NOT_FOUND', 'WRONG_FILE_KIND'] as const;

export const fileMethods = {
  'file.read': method({
    summary: 'Reads a regular file, or a part of it.',
    role: 'agent',
    needs: 'slot',
    params: z.strictObject({
      path,
      encoding: encoding.default('utf8'),
      offset: z.int().min(0).default(0),
      maxBytes: z.int().min(0).max(MAX_INLINE_BYTES).default(DEFAULT_READ_BYTES),
    }),
    result: z.object({
      data: z.string(),
      encoding,
      bytes: z.int().describe('of the file in data'),
      size: z.int().describe('of the whole file'),
      truncated: z.boolean().describe('the file goes on after data'),
      sha256: sha256.nullable().describe('of the whole file; null above 64 MiB'),
      mime: z.string(),
    }),
    faults: [...pathFaults],
  }),
  'file.write': method({
    summary: 'Writes a file whole or not at all; parents are made.',
    role: 'agent',
    needs: 'slot',
    params: z.strictObject({
      path,
      data: z.string(),
      encoding: encoding.default('utf8'),
      mode: z.int().min(0).max(0o777).optional().describe('permission bits, 0644 for a new file'),
      expectedSha256: sha256.optional().describe('writes only over a file with this content'),
    }),
    result: z.object({ bytes: z.int(), sha256 }),
    faults: [...pathFaults, 'HASH_MISMATCH', 'NO_SPACE', 'TOO_LARGE'],
  }),
  'file.list': method({
    summary: 'What a directory contains, sorted by path; links are listed, never followed.',
    role: 'agent',
    needs: 'slot',
    params: z.strictObject({
      path: path.default('.'),
      recursive: z.boolean().default(false),
      maxEntries: z.int().min(1).max(100_000).default(5000),
    }),
    result: z.object({ entries: z.array(fileEntry), truncated: z.boolean() }),
    faults: [...pathFaults],
  }),
  'file.stat': method({
    summary: 'One entry, without following a link.',
    role: 'agent',
    needs: 'slot',
    params: onePath,
    result: fileEntry.extend({ mode: z.int() }),
    faults: [...pathFaults],
  }),
  'file.remove': method({
    summary: 'Removes a file or link, or with recursive a directory with all below it.',
    role: 'agent',
    needs: 'slot',
    params: onePath.extend({ recursive: z.boolean().default(false) }),
    result: empty,
    faults: [...pathFaults],
  }),
  'file.mkdir': method({
    summary: 'Makes a directory and its parents; one that is there is fine.',
    role: 'agent',
    needs: 'slot',
    params: onePath,
    result: empty,
    faults: [...pathFaults, 'NO_SPACE'],
  }),
  'file.move': method({
    summary: 'Renames; an existing file is replaced only with overwrite.',
    role: 'agent',
    needs: 'slot',
    params: z.strictObject({ from: path, to: path, overwrite: z.boolean().default(false) }),
    result: empty,
    faults: [...pathFaults],
  }),
} as const;
