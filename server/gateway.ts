// The composition root: the only file that knows every room. It makes the parts, ties them together, and takes them down in order.
import { readFile } from 'node:fs/promises';
import type { Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { join } from 'node:path';
import pino, { type Logger } from 'pino';
import type { Role } from '../protocol/method.ts';
import { Gate } from './auth/gate.ts';
import { PRINTED_TTL_MS, Tickets } from './auth/ticket.ts';
import { type Admission, Tokens } from './auth/token.ts';
import { Library } from './cast/library.ts';
import { framesBehind } from './cast/tail.ts';
import { claimDataDir } from './claim.ts';
import type { Config } from './config.ts';
import { drain, type Waiting } from './drain.ts';
import { httpApp } from './http/app.ts';
import { castRoutes } from './http/cast-route.ts';
import { fileRoutes } from './http/file-route.ts';
import { healthRoutes } from './http/health.ts';
import { InFlight } from './http/in-flight.ts';
import { httpServer } from './http/listener.ts';
import { LiveRoute } from './http/live-route.ts';
import { Metrics, metricsRoute } from './http/metrics.ts';
import { pageRoutes, readPageFiles } from './http/page-route.ts';
import { sandboxApiRoutes } from './http/sandbox-api/route.ts';
import { sessionRoutes } from './http/session-route.ts';
import { tokenRoutes } from './http/token-route.ts';
import { castDirectory } from './keeper/cast-place.ts';
import { tryKill } from './keeper/foreground.ts';
import { RemoteKeeper } from './keeper/link/remote-keeper.ts';
import type { CastPlace } from './keeper/recorder.ts';
import { ROOT } from './keeper/root.ts';
import type { Limits } from './keeper/sandbox/policy.ts';
import { castHandlers } from './methods/cast.ts';
import type { Handlers } from './methods/context.ts';
import { execHandlers } from './methods/exec.ts';
import { fileHandlers } from './methods/file.ts';
import { Followers } from './methods/follow.ts';
import { Lane } from './methods/lane.ts';
import { serverHandlers } from './methods/server.ts';
import { slotHandlers } from './methods/slot.ts';
import { terminalHandlers } from './methods/terminal.ts';
import { watchHandlers } from './methods/watch.ts';
import { checkRequirement } from './requirement.ts';
import { Dispatcher } from './rpc/dispatcher.ts';
import { Endpoint } from './rpc/endpoint.ts';
import { rpcRoute } from './rpc/rpc-route.ts';
import { Pool } from './slot/pool.ts';
import { version } from './version.ts';

/** Without these nothing can run, so the gateway is not ready. */
const REQUIRED = ['sandbox', 'seccomp', 'keeper'];
/** How long a new keeper is waited for, when the gateway is to leave and the keeper has just died. */
const SETTLE_MS = 10_000;
/** As it was built. */
const PAGE_DIR = join(ROOT, 'dist/web-viewer');

/**
 * Who took a slot over and is away for longer gives it back: a page that is loaded again is there within seconds, and behind a tab that was
 * closed the owner waits. Never more than the operator gives to those who say nothing.
 */
const TAKEOVER_GRACE_MS = 10_000;

export interface Shortcoming {
  readonly name: string;
  readonly detail: string;
  readonly remedy?: string | undefined;
}

interface Parts {
  readonly config: Config;
  readonly claim: { close(): void };
  readonly keeper: RemoteKeeper;
  readonly pool: Pool;
  readonly library: Library;
  readonly tokens: Tokens | null;
  readonly endpoint: Endpoint;
  readonly server: Server;
  readonly adminToken: string;
  /** null under --auth none. */
  readonly admin: Admission | null;
  readonly tickets: Tickets;
  /** From here on no new work is taken. */
  readonly refuseWork: () => void;
  /** Calls and requests that have no whole reply yet. */
  readonly replies: () => number;
}

export class Gateway {
  readonly #parts: Parts;
  #closing: Promise<void> | null = null;

  private constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Opens everything and listens. Throws ClaimError, RequirementError, or what listening throws; then nothing is left open. */
  static async open(
    config: Config,
    log: Logger = pino({ level: config.logLevel }, pino.destination(2)),
  ): Promise<Gateway> {
    const claim = claimDataDir(config.dataDir);
    const opened: { close(): unknown }[] = [claim];
    try {
      const keeper = await RemoteKeeper.open(keeperOptions(config, log));
      // One that was there before has slots that live, whatever keeps this gateway from starting.
      opened.unshift(keeper.startedHere ? keeper : { close: () => keeper.leave() });
      if (config.requireSandbox) await checkRequirement(keeper.capabilities(), REQUIRED);
      const tokens =
        config.auth === 'none' ? null : await Tokens.open({ dataDir: config.dataDir, fixed: config.token });
      const assembled = await assemble({ config, log, keeper, tokens });
      const { pool, library, endpoint, server, tickets, refuseWork, replies } = assembled;
      opened.unshift(endpoint);
      await listen(server, config);
      const adminToken = tokens === null ? '' : (config.token ?? (await readFile(tokenFileOf(config), 'utf8')).trim());
      const admin = tokens === null ? null : await tokens.verify(adminToken);
      return new Gateway({
        ...{ config, claim, keeper, pool, library, tokens, endpoint, server },
        ...{ adminToken, admin, tickets, refuseWork, replies },
      });
    } catch (error) {
      for (const part of opened) await part.close();
      throw error;
    }
  }

  /** How many slots are leased. */
  get leases(): number {
    return this.#parts.pool.all().filter(({ lease }) => lease !== null).length;
  }

  get keeperPid(): number {
    return this.#parts.keeper.pid;
  }

  /** Where it listens, without a slash at the end; of every address the loopback one, since no browser goes to 0.0.0.0. */
  get url(): string {
    const { address, family, port } = this.#parts.server.address() as AddressInfo;
    if (address === '0.0.0.0' || address === '::') return `http://127.0.0.1:${port}`;
    return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
  }

  /** Empty under --auth none. */
  get adminToken(): string {
    return this.#parts.adminToken;
  }

  /** Where the admin's token lies; null when there is none, or the operator knows it. */
  get tokenFile(): string | null {
    const { config, tokens } = this.#parts;
    return tokens === null || config.token !== undefined ? null : tokenFileOf(config);
  }

  /** The address that signs an admin's browser in, once and within 15 minutes; a new one each time. Under --auth none that of the page. */
  signInUrl(): string {
    const { admin, tickets } = this.#parts;
    return admin === null ? `${this.url}/` : `${this.url}/#ticket=${tickets.mint(admin, PRINTED_TTL_MS)}`;
  }

  async mint(order: { role: Role; slot?: string; cast?: string; ttlMs: number }): Promise<string> {
    const { tokens } = this.#parts;
    if (tokens === null) return '';
    return (await tokens.mint({ slot: null, ...order })).token;
  }

  /** What the host lacks, for the operator. */
  shortcomings(): Shortcoming[] {
    return Object.entries(this.#parts.keeper.capabilities())
      .filter(([, { ok }]) => !ok)
      .map(([name, { detail, remedy }]) => ({ name, detail, remedy }));
  }

  /** Refuses new work, lets what runs end for a while, says goodbye to every connection, ends every lease and seals every cast. */
  close(waits: (waiting: Waiting) => void = () => undefined): Promise<void> {
    this.#closing ??= this.#drain(waits).then(() => this.#close(false));
    return this.#closing;
  }

  /** As close, but everything in the slots goes on, for the gateway that comes next. */
  leave(): Promise<void> {
    this.#closing ??= this.#close(true);
    return this.#closing;
  }

  /** At once, and nothing is left that runs. */
  abandon(): void {
    tryKill(this.#parts.keeper.pid, 'SIGKILL');
  }

  async #drain(waits: (waiting: Waiting) => void): Promise<void> {
    const { refuseWork, pool, config, replies } = this.#parts;
    refuseWork();
    await drain(pool, { graceMs: config.drainMs, replies, waits });
  }

  async #close(leaves: boolean): Promise<void> {
    const { refuseWork, server, endpoint, pool, library, keeper, tokens, claim } = this.#parts;
    refuseWork();
    const closed = new Promise((resolve) => server.close(resolve));
    // Connections first: their clients are to come back, not to believe that their lease was ended.
    await endpoint.close();
    // Leases that have just lost their keeper would be lost with this gateway; a keeper that somebody has stopped would not let them end.
    if (leaves) await keeper.settled(SETTLE_MS);
    else tryKill(keeper.pid, 'SIGCONT');
    if (leaves) pool.leave();
    else await pool.close('the gateway is shutting down');
    server.closeAllConnections();
    await closed;
    await (leaves ? keeper.leave() : keeper.close());
    await library.close();
    await tokens?.close();
    claim.close();
  }
}

interface Assembly {
  readonly config: Config;
  readonly log: Logger;
  readonly keeper: RemoteKeeper;
  readonly tokens: Tokens | null;
}

/** Ties slots, methods and routes together; nothing listens yet. */
async function assemble({ config, log, keeper, tokens }: Assembly) {
  let draining = false;
  const { network, maxProcesses, graceMs } = config;
  const { sandboxed } = keeper;
  const pool = new Pool({
    keeper,
    count: config.slots,
    network,
    maxProcesses,
    takeoverGraceMs: Math.min(TAKEOVER_GRACE_MS, graceMs),
    dropped: (slot) => log.error({ slot }, `its lease was ended: there are only ${config.slots} slots now (--slots)`),
    failed: (slot, error) => log.error({ slot: slot.name, err: error }, 'slot failed'),
  });
  const library = new Library({
    dir: castDirectory(config.dataDir),
    live: (cast) => liveCast(pool, keeper, cast),
    keep: config.keepCasts,
    log,
  });
  const lane = new Lane();
  const followers = new Followers(sandboxed);
  const handlers: Handlers = {
    ...serverHandlers({ version, capabilities: () => keeper.capabilities(), limits: keeper.limits }),
    ...slotHandlers({ pool, followers, sandboxed, network, graceMs }),
    ...execHandlers({ pool, followers, sandboxed }),
    ...terminalHandlers(pool),
    ...watchHandlers(pool),
    ...castHandlers({ library, pool, lane }),
    ...fileHandlers(pool),
  };
  const gate = new Gate({ tokens, origins: { host: config.host, allowed: config.allowHost } });
  const metrics: Metrics = new Metrics({
    slots: () => pool.list(),
    connections: () => endpoint.size,
    recording: () => keeper.recording(),
  });
  const dispatcher = new Dispatcher({ handlers, log, draining: () => draining, observe: metrics.observeCall });
  const endpoint: Endpoint = new Endpoint({
    gate,
    log,
    draining: () => draining,
    routes: [
      rpcRoute({
        dispatcher,
        log,
        bind: async (peer, slot) => {
          await dispatcher.dispatch('slot.acquire', { slot }, { peer, signal: new AbortController().signal });
        },
      }),
      new LiveRoute({ slots: pool, log }),
    ],
  });
  const tickets = new Tickets();
  const sandboxApi = (access: 'token' | 'open') =>
    sandboxApiRoutes({
      ...{ gate, access, pool, library, sandboxed, log, dataDir: config.dataDir },
      dispatch: (method, params, context) => dispatcher.dispatch(method, params, context),
    });
  const app = httpApp({
    gate,
    log,
    routes: [
      pageRoutes(await readPageFiles(PAGE_DIR)),
      healthRoutes({
        capabilities: () => keeper.capabilities(),
        required: sandboxed ? REQUIRED : ['keeper'],
        draining: () => draining,
      }),
      metricsRoute(metrics, gate),
      castRoutes({ gate, library, lane }),
      fileRoutes({ gate, workspace: (slot) => pool.get(slot).workspace, draining: () => draining }),
      sessionRoutes({ gate, tokens, tickets }),
      tokenRoutes({ gate, tokens, library }),
      ...(config.httpApi === 'off' ? [] : [sandboxApi(config.httpApi)]),
    ],
  });
  await pool.open();
  keeper.restarted = () => pool.renew();
  tellSealed(pool, library);
  library.catchUp();
  const refuseWork = (): void => {
    draining = true;
  };
  const isKnown = (socket: Socket): boolean => gate.hasAdmitted(socket);
  const server = httpServer({ app, upgrade: endpoint.upgrade, isKnown });
  const requests = new InFlight(server);
  const replies = (): number => dispatcher.busy + requests.size;
  return { pool, library, endpoint, server, tickets, refuseWork, replies };
}

/** A cast whose lease goes on, as the library sees it. */
function liveCast(pool: Pool, keeper: RemoteKeeper, cast: string) {
  const lease = pool.all().find((slot) => slot.lease?.cast === cast)?.lease ?? null;
  return lease && { durationMs: lease.log.timeMs(), flush: () => keeper.flushLog(cast) };
}

/** Tells the library of each recording as it is sealed. */
function tellSealed(pool: Pool, library: Library): void {
  const recorded = new Map<string, string>();
  pool.listen(({ name, lease }) => {
    const former = recorded.get(name);
    if (former !== undefined && former !== lease?.cast) library.sealed(former);
    if (lease === null) recorded.delete(name);
    else recorded.set(name, lease.cast);
  });
}

function keeperOptions(config: Config, log: Logger) {
  const { dataDir, sandbox, mounts, network, record, recordInput, uidBase, keeperAloneMs: aloneMs } = config;
  const disk = { diskBytes: config.maxDisk, files: config.maxFiles, minFreeBytes: config.minFreeDisk };
  const policy = { sandbox, mounts, network, limits: limitsOf(config) };
  const readFrames = (cast: string, from: CastPlace) => framesBehind(castDirectory(dataDir), cast, from);
  return { settings: { dataDir, policy, record, recordInput, uidBase, disk, aloneMs }, version, log, readFrames };
}

function limitsOf({ maxMemory, maxPids, maxFileSize, maxOpenFiles, maxShm }: Config): Limits {
  return {
    memoryBytes: maxMemory,
    processes: maxPids,
    // Several sandboxes at their ceiling.
    slotProcesses: 8 * maxPids,
    fileBytes: maxFileSize,
    openFiles: maxOpenFiles,
    shmBytes: maxShm,
  };
}

function listen(server: Server, { host, port }: Config): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

const tokenFileOf = ({ dataDir }: Config): string => join(dataDir, 'token');
