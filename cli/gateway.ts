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
  const file = join(dataDirOf(process.env, isRoot()), 'token');
  const chosen = process.env['SLOTCAST_TOKEN_FILE'];
  try {
    // Empty where a gateway is given a file and makes its own all the same.
    const found = chosen ? (await readFile(chosen, 'utf8')).trim() : '';
    if (found !== '') return { token: found, missing: '' };
    return { token: (await readFile(file, 'utf8')).trim(), missing: '' };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // A gateway without tokens lets everybody in.
    return { token: undefined, missing: code === 'EACCES' ? `${file} may not be read` : `there is none in ${file}` };
  }
}
