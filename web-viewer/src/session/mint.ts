// Makes the token that a shared link carries: a viewer's, for one slot or one recording, with an end.
import type { Client } from '../../../client/index.ts';

export type ShareTarget =
  | { readonly slot: string; readonly cast?: undefined }
  | { readonly cast: string; readonly slot?: undefined };

export interface Minted {
  readonly token: string;
  /** ms since 1970. */
  readonly expiresAt: number;
}

/** Faults: FORBIDDEN. */
export async function mintShare(client: Client, target: ShareTarget, ttlMs: number): Promise<Minted> {
  return (await client.post('tokens', { role: 'viewer', ...target, ttlMs })) as Minted;
}
