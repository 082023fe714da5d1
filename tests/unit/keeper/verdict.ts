// What the verifier says of a file or of bytes.
import { readFileSync } from 'node:fs';
import { CastVerifier, type Verdict } from '../../../protocol/cast-verifier.ts';
import { chainHash } from '../../../server/keeper/chain-hash.ts';

/** In pieces of that size, so that lines are cut anywhere. */
export function verdictOn(cast: string | Uint8Array, pieceBytes = 64 * 1024): Verdict {
  const bytes = typeof cast === 'string' ? readFileSync(cast) : cast;
  const verifier = new CastVerifier(chainHash);
  for (let at = 0; at < bytes.length; at += pieceBytes) verifier.take(bytes.subarray(at, at + pieceBytes));
  return verifier.end();
}
