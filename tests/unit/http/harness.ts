// A real HTTP server with the app's routes and the live endpoint, over real files, logs and screens in a directory of its own.
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { type IncomingHttpHeaders, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Hono } from 'hono';
import pino from 'pino';
import { Fault } from '../../../protocol/fault.ts';
import type { Role } from '../../../protocol/method.ts';
import { Gate } from '../../../server/auth/gate.ts';
import { Tickets } from '../../../server/auth/ticket.ts';
import { Tokens } from '../../../server/auth/token.ts';
import { Library } from '../../../server/cast/library.ts';
import { httpApp } from '../../../server/http/app.ts';
import { castRoutes } from '../../../server/http/cast-route.ts';
import type { HttpEnv } from '../../../server/http/env.ts';
import { fileRoutes } from '../../../server/http/file-route.ts';
import { healthRoutes } from '../../../server/http/health.ts';
import { httpServer } from '../../../server/http/listener.ts';
import { Metrics, metricsRoute } from '../../../server/http/metrics.ts';
import { pageRoutes, readPageFiles } from '../../../server/http/page-route.ts';
import { sessionRoutes } from '../../../server/http/session-route.ts';
import { tokenRoutes } from '../../../server/http/token-route.ts';
import { Lane } from '../../../server/methods/lane.ts';
import type { Endpoint } from '../../../server/rpc/endpoint.ts';
import { Workspace } from '../../../server/workspace/workspace.ts';

export interface SiteOptions {
  readonly capabilities?: Parameters<typeof healthRoutes>[0]['capabilities'];
  readonly draining?: () => boolean;
  readonly auth?: 'token' | 'none';
  readonly maxUploadBytes?: number;
  readonly headersTimeoutMs?: number;
  readonly pageDir?: string;
  readonly endpoint?: (gate: Gate) => Endpoint;
  readonly more?: Hono<HttpEnv>;
}

export interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly text: string;
  json<T = Record<string, unknown>>(): T;
}

export interface Ask {
  readonly method?: string;
  /** null = none. */
  readonly token?: string | null;
  readonly headers?: Record<string, string>;
  readonly body?: string | Buffer;
}

export interface Site {
  readonly port: number;
  readonly dataDir: string;
  /** Of slot_0, which is the only one. */
  readonly workspace: string;
  readonly casts: string;
  readonly tokens: Tokens;
  readonly tickets: Tickets;
  readonly metrics: Metrics;
  readonly admin: string;
  readonly logged: string[];
  token(role: Role, slot?: string): Promise<string>;
  ask(path: string, ask?: Ask): Promise<Reply>;
  close(): Promise<void>;
}

const works = () => ({ sandbox: { ok: true, detail: 'bubblewrap 0.8.0' } });

export async function startSite(options: SiteOptions = {}): Promise<Site> {
  const dataDir = await mkdtemp(join(tmpdir(), 'slotcast-http-'));
  const workspace = join(dataDir, 'workspace');
  const casts = join(dataDir, 'casts');
  await Promise.all([mkdir(workspace), mkdir(casts)]);
  const tokens = await Tokens.open({ dataDir });
  const tickets = new Tickets();
  const inUse = options.auth === 'none' ? null : tokens;
  const gate = new Gate({ tokens: inUse, origins: { allowed: [] } });
  const logged: string[] = [];
  const log = pino({ level: 'trace' }, { write: (line: string) => void logged.push(line) });
  const metrics = new Metrics({
    slots: () => [
      { state: 'leased', viewers: 2, processes: 3 },
      { state: 'free', viewers: 0, processes: 0 },
    ],
    connections: () => 7,
    recording: () => ({ failing: 1, lostFrames: 23 }),
  });
  const files = new Workspace({ root: workspace, owner: null });
  const library = new Library({ dir: casts, live: () => null });
  const app = httpApp({
    gate,
    log,
    routes: [
      ...(options.more === undefined ? [] : [options.more]),
      pageRoutes(await readPageFiles(options.pageDir ?? join(dataDir, 'no-page'))),
      healthRoutes({
        capabilities: options.capabilities ?? works,
        required: ['sandbox'],
        draining: options.draining ?? (() => false),
      }),
      metricsRoute(metrics, gate),
      sessionRoutes({ gate, tokens: inUse, tickets }),
      tokenRoutes({ gate, tokens: inUse, library }),
      castRoutes({ gate, library, lane: new Lane() }),
      fileRoutes({
        gate,
        workspace: (slot) => {
          if (slot !== 'slot_0') throw new Fault('SLOT_NOT_FOUND');
          return files;
        },
        ...(options.maxUploadBytes === undefined ? {} : { maxUploadBytes: options.maxUploadBytes }),
      }),
    ],
  });
  const endpoint = options.endpoint?.(gate);
  const server = httpServer({
    app,
    upgrade: endpoint?.upgrade ?? ((_request, socket) => socket.destroy()),
    isKnown: (socket) => gate.hasAdmitted(socket),
    ...(options.headersTimeoutMs === undefined ? {} : { headersTimeoutMs: options.headersTimeoutMs }),
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const { token: admin } = await tokens.mint({ role: 'admin', slot: null, ttlMs: null });
  return {
    port,
    dataDir,
    workspace,
    casts,
    tokens,
    tickets,
    metrics,
    admin,
    logged,
    token: async (role, slot) => (await tokens.mint({ role, slot: slot ?? null, ttlMs: null })).token,
    ask: (path, ask = {}) => askSite(port, path, { token: admin, ...ask }),
    close: async () => {
      await endpoint?.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

/** By node:http, which sends Host, Origin and paths as they are given. */
function askSite(port: number, path: string, { method = 'GET', token, headers = {}, body }: Ask): Promise<Reply> {
  const authorization = token === null || token === undefined ? {} : { authorization: `Bearer ${token}` };
  return new Promise((resolve, reject) => {
    const sent = request({
      host: '127.0.0.1',
      port,
      path,
      method,
      headers: { ...authorization, ...headers },
      agent: false,
    });
    sent.on('error', reject);
    sent.on('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const whole = Buffer.concat(chunks);
        const text = whole.toString('utf8');
        const { statusCode: status = 0, headers: received } = response;
        resolve({ status, headers: received, body: whole, text, json: () => JSON.parse(text) });
      });
    });
    sent.end(body);
  });
}

export const errorName = (reply: Reply): string => reply.json<{ error: { data: { name: string } } }>().error.data.name;
