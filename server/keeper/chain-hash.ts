// The hashes of a recording's chain, by Node.
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import type { ChainHash } from '../../protocol/chain.ts';

export const chainHash: ChainHash = {
  sha256: () => {
    const hash = createHash('sha256');
    return { update: (bytes) => void hash.update(bytes), digest: () => hash.digest('base64url') };
  },
  crc32,
};
