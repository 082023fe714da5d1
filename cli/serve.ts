// The only door from the command line into the server: what has to be done on the gateway's own host, without a gateway that runs. Loaded when
// needed, so that the other commands are clients like any other and start without it.
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Role } from '../protocol/method.ts';
import type { Capability } from '../protocol/server.ts';

/** `slotcast serve ARGV…`; resolves with the exit code. */
export async function serve(argv: readonly string[]): Promise<number> {
  const server = await import('../server/main.ts');
  return await server.serve(argv);
}

export interface TokenOrder {
  readonly role: Role;
  /** null = every slot. */
  readonly slot: string | null;
  /** Only this recording; null = those of the slot. */
  readonly cast: string | null;
  readonly ttlMs: number;
}

/** Makes a token with the key in the data directory, which the gateway there accepts, now or when it is started. */
export async function mintToken(dataDir: string, order: TokenOrder): Promise<string> {
  const { Tokens } = await import('../server/auth/token.ts');
  const tokens = await Tokens.minter({ dataDir });
  return (await tokens.mint(order)).token;
}

/** What this host can and cannot do, found by trying it: in that data directory, or in a temporary one. */
export async function probeHost(dataDir: string | undefined): Promise<Readonly<Record<string, Capability>>> {
  const { DEFAULT_POLICY } = await import('../server/keeper/sandbox/policy.ts');
  const { probe } = await import('../server/keeper/sandbox/probe.ts');
  if (dataDir !== undefined) return await probe(DEFAULT_POLICY, dataDir);
  const temporary = await mkdtemp(join(tmpdir(), 'slotcast-doctor-'));
  try {
    // Slots of another user id have to get through it, as through a data directory.
    await chmod(temporary, 0o711);
    return await probe(DEFAULT_POLICY, temporary);
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}
