// Finds the gateway and the token for it, and connects. The token comes from the environment or a file, never from the command line, where others see it.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Client, connect, Fault } from '../client/index.ts';
import { Complaint, WRONG_USE } from './complaint.ts';
import { dataDirOf, isRoot } from './data-dir.ts';

const DEFAULT_URL = 'http://127.0.0.1:8080';

export interface GatewayOptions {
  readonly url?: string;
}

export async function connectTo(options: GatewayOptions): Promise<Client> {
  const url = options.url ?? (process.env['SLOTCAST_URL'] || DEFAULT_URL);
  const { token, missing } = await findToken();
  try {
    return await connect({ url, token });
  } catch (error) {
    if (error instanceof TypeError) throw new Complaint(error.message, WRONG_USE);
    const needsToken = error instanceof Fault && error.fault === 'UNAUTHENTICATED' && token === undefined;
    throw needsToken ? new Complaint(`The gateway wants a token, and ${missing}. Give one in SLOTCAST_TOKEN.`) : error;
  }
}

interface FoundToken {
  readonly token: string | undefined;
  /** Why there is none. */
  readonly missing: string;
}

async function findToken(): Promise<FoundToken> {
  const given = process.env['SLOTCAST_TOKEN'];
  if (given) return { token: given.trim(), missing: '' };
  const complaints: string[] = [];
  for (const file of [process.env['SLOTCAST_TOKEN_FILE'], join(dataDirOf(process.env, isRoot()), 'token')]) {
    if (!file) continue;
    try {
      const token = (await readFile(file, 'utf8')).trim();
      if (token !== '') return { token, missing: '' };
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      complaints.push(code === 'EACCES' ? `${file} may not be read` : `there is none in ${file}`);
    }
  }
  // A gateway without tokens lets everybody in.
  return { token: undefined, missing: complaints.join(', ') };
}
