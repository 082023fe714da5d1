// A real gateway for a test: real sandboxes, ptys and sockets, in a data directory of its own that is gone afterwards. Or the one that
// somebody has started elsewhere: see remote.ts.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Client, connect } from '../../client/index.ts';
import type { Role } from '../../protocol/method.ts';
import { readConfig } from '../../server/config.ts';
import { Gateway } from '../../server/gateway.ts';
import { needs, type Remote, RemoteSlots, remote } from './remote.ts';

export interface TestGateway {
  readonly url: string;
  readonly token: string;
  readonly dataDir: string;
  /** A token of that role, for all slots or one, or for one recording. */
  mint(order: { role: Role; slot?: string; cast?: string; ttlMs: number }): Promise<string>;
  /** An address that signs an admin's browser in, once. */
  signInUrl(): string;
  /** A connection of its own, closed with the gateway; every result is checked against its schema. */
  client(token?: string): Promise<Client>;
  /** Ends this gateway and starts another on the same data directory; `between` runs while there is none. */
  restart(between?: () => void): Promise<void>;
  close(): Promise<void>;
}

export async function startGateway(...flags: string[]): Promise<TestGateway> {
  if (remote !== null) return await remoteGateway(remote, flags);
  const dataDir = await mkdtemp(join(tmpdir(), 'slotcast-e2e-'));
  const argv = [
    '--port',
    '0',
    '--data-dir',
    dataDir,
    '--slots',
    '4',
    '--log-level',
    'error',
    '--drain-ms',
    '0',
    ...flags,
  ];
  const open = () => Gateway.open(readConfig({ argv, env: {}, isRoot: process.getuid?.() === 0 }));
  let gateway = await open();
  const clients: Client[] = [];
  const leave = async (): Promise<void> => {
    await Promise.all(clients.splice(0).map((client) => client.close()));
    await gateway.close();
  };
  return {
    get url() {
      return gateway.url;
    },
    token: gateway.adminToken,
    dataDir,
    mint: (order) => gateway.mint(order),
    signInUrl: () => gateway.signInUrl(),
    client: async (token = gateway.adminToken) => {
      const client = await connect({ url: gateway.url, token, validate: true });
      clients.push(client);
      return client;
    },
    restart: async (between) => {
      await leave();
      between?.();
      gateway = await open();
    },
    close: async () => {
      await leave();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

async function remoteGateway(to: Remote, flags: readonly string[]): Promise<TestGateway> {
  const slots = await RemoteSlots.open(to, flags);
  if (slots === null) return needs(`a gateway with ${flags.join(' ')}`);
  const clients: Client[] = [];
  return {
    url: to.url,
    token: to.token,
    get dataDir() {
      return to.dataDir ?? needs<string>("the gateway's host");
    },
    mint: async (order) => await mintAt(to, order),
    signInUrl: () => needs("the gateway's own process"),
    client: async (token = to.token) => {
      const client = await connect({ url: to.url, token, validate: true });
      clients.push(client);
      return client;
    },
    restart: () => needs('a gateway that can be restarted'),
    close: async () => {
      await Promise.all(clients.splice(0).map((client) => client.close()));
      await slots.free();
    },
  };
}

/** A token, as an admin's program gets one. */
export async function mintAt(
  { url, token }: Pick<Remote, 'url' | 'token'>,
  order: { role: Role; slot?: string; cast?: string; ttlMs: number },
): Promise<string> {
  const reply = await fetch(`${url}/tokens`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify(order),
  });
  return ((await reply.json()) as { token: string }).token;
}

/** Tries until it is true, for state that no event tells; fails loudly at the deadline. */
export async function until(what: string, holds: () => boolean | Promise<boolean>, timeoutMs = 20_000): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
