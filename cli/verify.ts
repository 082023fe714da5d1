// slotcast verify CAST: whether a recording is as it was recorded, from the gateway or from a file. It changes neither.
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { crc32 } from 'node:zlib';
import { CastVerifier, type Verdict } from '../protocol/cast-verifier.ts';
import type { ChainHash } from '../protocol/chain.ts';
import type { Result } from '../protocol/contract.ts';
import { Complaint, complain } from './complaint.ts';
import { connectTo, type GatewayOptions } from './gateway.ts';
import { endQuietlyWithoutReader } from './output.ts';

/** Exit codes: intact and sealed; a line was changed, added or is missing; it has no seal or no chain; it could not be checked. */
const INTACT = 0;
const BAD = 1;
const OPEN = 2;
const UNCHECKED = 3;

/** `cast_…` names a recording of the gateway, anything else a file. */
export async function verify(cast: string, options: GatewayOptions): Promise<number> {
  endQuietlyWithoutReader();
  try {
    const verdict = /^cast_[0-9a-z_-]+$/.test(cast) ? await asked(cast, options) : await read(cast);
    process.stdout.write(`${cast}: ${told(verdict)}\n`);
    if (verdict.ok) return INTACT;
    return verdict.line === undefined ? OPEN : BAD;
  } catch (error) {
    process.stderr.write(`${complain(error).line}\n`);
    return UNCHECKED;
  }
}

function told({ ok, recovered, line, reason = '', chained, lines, hash }: Omit<Result<'cast.verify'>, 'cast'>): string {
  if (ok)
    return `intact and sealed${recovered ? ', though it ended without notice' : ''}: ${lines} lines, hash ${hash}`;
  if (line !== undefined) return `line ${line} is not as it was recorded: ${reason}`;
  return `${chained ? 'not sealed' : 'not chained'}: ${reason}`;
}

async function asked(cast: string, options: GatewayOptions) {
  const client = await connectTo(options);
  try {
    return await client.cast.verify(cast);
  } finally {
    await client.close();
  }
}

/** The file itself; no gateway is asked. */
async function read(path: string): Promise<Verdict> {
  const verifier = new CastVerifier(chainHash);
  try {
    for await (const piece of createReadStream(path)) verifier.take(piece as Buffer);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT')
      throw new Complaint(`${path} is neither a recording (cast_…, see slotcast casts) nor a file.`);
    throw code === undefined ? error : new Complaint(`${path} can't be read: ${code}.`);
  }
  return verifier.end();
}

const chainHash: ChainHash = {
  sha256: () => {
    const hash = createHash('sha256');
    return { update: (bytes) => void hash.update(bytes), digest: () => hash.digest('base64url') };
  },
  crc32,
};
