// artifact: parts of the workspace as one archive.
import { z } from 'zod';
import { MAX_INLINE_BYTES, path } from './file.ts';
import { method } from './method.ts';

export const archiveFormat = z.enum(['tar.gz', 'zip']);
export type ArchiveFormat = z.infer<typeof archiveFormat>;

export const artifactMethods = {
  'artifact.archive': method({
    summary: 'Packs a file or directory; links and special files are skipped and counted.',
    role: 'agent',
    needs: 'slot',
    params: z.strictObject({
      path: path.default('.'),
      format: archiveFormat.default('tar.gz'),
      maxBytes: z.int().min(1).max(MAX_INLINE_BYTES).default(MAX_INLINE_BYTES).describe('of the archive'),
      maxEntries: z.int().min(1).max(1_000_000).default(100_000),
    }),
    result: z.object({
      data: z.string(),
      encoding: z.literal('base64'),
      bytes: z.int(),
      entries: z.int(),
      skipped: z.int(),
    }),
    faults: ['PATH_OUTSIDE', 'FILE_NOT_FOUND', 'WRONG_FILE_KIND', 'TOO_LARGE'],
  }),
} as const;
