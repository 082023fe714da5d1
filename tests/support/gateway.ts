// A real gateway for a test: real sandboxes, ptys and sockets, in a data directory of its own that is gone afterwards.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Client, connect } from '../../client/index.ts';
import { readConfig } from '../../server/config.ts';
import { Gateway } from '../../server/gateway.ts';

export interface TestGateway {
  readonly url: string;
  readonly token: string;
  readonly dataDir: string;
  readonly gateway: Gateway;
  /** A connection of its own, closed with the gateway; every result is checked against its schema. */
  client(token?: string): Promise<Client>;
  close(): Promise<void>;
}

export async function startGateway(...flags: string[]): Promise<TestGateway> {
  const dataDir = await mkdtemp(join(tmpdir(), 'slotcast-e2e-'));
  const argv = ['--port', '0', '--data-dir', dataDir, '--slots', '4', '--log-level', 'error', ...flags];
  const gateway = await Gateway.open(readConfig({ argv, env: {}, isRoot: process.getuid?.() === 0 }));
  const clients: Client[] = [];
  return {
    url: gateway.url,
    token: gateway.adminToken,
    dataDir,
    gateway,
    client: async (token = gateway.adminToken) => {
      const client = await connect({ url: gateway.url, token, validate: true });
      clients.push(client);
      return client;
    },
    close: async () => {
      await Promise.all(clients.map((client) => client.close()));
      await gateway.close();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

/** Tries until it is true, for state that no event tells; fails loudly at the deadline. */
export async function until(what: string, holds: () => boolean | Promise<boolean>, timeoutMs = 10_000): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
