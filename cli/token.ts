// slotcast token: makes a token for somebody else. On the gateway's host by the key in the data directory, elsewhere by asking the gateway.
import { z } from 'zod';
import { Complaint, WRONG_USE } from './complaint.ts';
import { dataDirOf, isRoot } from './data-dir.ts';
import { connectTo, type GatewayOptions } from './gateway.ts';
import { endQuietlyWithoutReader } from './output.ts';
import { mintToken, type TokenOrder } from './serve.ts';

export interface TokenOptions extends GatewayOptions {
  readonly role: TokenOrder['role'];
  readonly slot?: string;
  readonly cast?: string;
  readonly ttl: number;
  readonly dataDir?: string;
}

export async function token(options: TokenOptions): Promise<number> {
  const { role, slot, cast, ttl: ttlMs } = options;
  if (cast !== undefined && role !== 'viewer') {
    throw new Complaint('A token for one recording is for a viewer: leave --role out.', WRONG_USE);
  }
  endQuietlyWithoutReader();
  const isRemote = options.url !== undefined || Boolean(process.env['SLOTCAST_URL']);
  const made = isRemote
    ? await ask(options)
    : await mint(options, { role, slot: slot ?? null, cast: cast ?? null, ttlMs });
  process.stdout.write(`${made}\n`);
  return 0;
}

async function ask(options: TokenOptions): Promise<string> {
  const { role, slot, cast, ttl: ttlMs } = options;
  const client = await connectTo(options);
  try {
    const order = { role, ttlMs, ...(slot === undefined ? {} : { slot }), ...(cast === undefined ? {} : { cast }) };
    return z.object({ token: z.string() }).parse(await client.post('tokens', order)).token;
  } finally {
    await client.close();
  }
}

async function mint(options: TokenOptions, order: TokenOrder): Promise<string> {
  const dataDir = options.dataDir ?? dataDirOf(process.env, isRoot());
  try {
    return await mintToken(dataDir, order);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EACCES') throw error;
    throw new Complaint(
      `The key in ${dataDir} may not be read. Run this as the user who runs the gateway, or name it by --url.`,
    );
  }
}
