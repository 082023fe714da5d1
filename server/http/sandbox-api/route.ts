// The HTTP API of the sandbox server that came before: its paths and shapes over the methods of slotcast. Nothing of slots, commands or files is done here.
import { join } from 'node:path';
import { Hono } from 'hono';
import type { Logger } from 'pino';
import { Fault } from '../../../protocol/fault.ts';
import { type Gate, requireRole } from '../../auth/gate.ts';
import { seesSlot } from '../../auth/scope.ts';
import type { Admission } from '../../auth/token.ts';
import type { Library } from '../../cast/library.ts';
import type { Pool } from '../../slot/pool.ts';
import { readBody } from '../body.ts';
import type { HttpContext, HttpEnv } from '../env.ts';
import { type ArtifactOrder, listArtifacts, packArtifacts, readArtifact } from './artifact.ts';
import { execute, slotNamed } from './execute.ts';
import { type Dispatch, HttpSlot } from './http-slot.ts';
import { isRecord, parseJson, plain } from './python.ts';
import { ApiError, done, errorReply, failed, reply, type ToolReply } from './reply.ts';

/** A batch of files at their cap for every slot of a large host. */
const MAX_BODY_BYTES = 64 * 1024 * 1024;

export interface SandboxApiOptions {
  readonly gate: Gate;
  /** open: whoever reaches the port may drive every slot. */
  readonly access: 'token' | 'open';
  readonly pool: Pool;
  readonly library: Library;
  readonly dispatch: Dispatch;
  readonly dataDir: string;
  /** Whether commands are sandboxed. */
  readonly sandboxed: boolean;
  readonly log: Logger;
}

const ANYBODY: Admission = { id: 'http', from: null, role: 'agent', slot: null, cast: null, expiresAtMs: null };

export function sandboxApiRoutes(options: SandboxApiOptions): Hono<HttpEnv> {
  const { gate, access, pool, library, dispatch, dataDir, sandboxed, log } = options;
  const slots = new Map(pool.all().map(({ name }) => [name, new HttpSlot({ name, pool, dispatch })]));
  const app = new Hono<HttpEnv>();

  app.onError((error, c) => {
    const known = errorReply(error);
    if (known !== null) return known;
    log.error({ route: c.req.routePath, err: error }, 'request failed');
    return reply({ success: false, error: 'A defect in the gateway. Its log tells more.' }, 500);
  });
  for (const path of ['/execute', '/batch', '/health', '/slots', '/reset', '/artifacts/*']) {
    app.use(path, async (c, next) => {
      const admission = access === 'open' ? ANYBODY : await gate.admit(c.env.incoming);
      requireRole(admission.role, 'agent', 'This API');
      c.set('admission', admission);
      await next();
    });
  }
  app.post('/execute', async (c) => {
    return reply(await execute({ slots, library }, await bodyOf(c), c.get('admission')));
  });

  app.post('/batch', async (c) => {
    const orders = await bodyOf(c);
    if (!Array.isArray(orders)) throw new ApiError(400, 'Expected array of requests');
    return reply(await inOrderOfSlots(orders, (order) => execute({ slots, library }, order, c.get('admission'))));
  });

  app.post('/reset', async (c) => {
    const body = await bodyOf(c);
    if (!isRecord(body)) throw new ApiError(500, 'A request is a JSON object.');
    return reply(await reset(c.get('admission'), plain(body['slot_id'])));
  });

  app.get('/health', () => {
    const busy = [...slots.values()].filter((slot) => slot.busy).length;
    const bwrap_available = sandboxed;
    const count = { slots: slots.size, available: slots.size - busy, executing: busy };
    return reply({ status: 'ok', ...count, data_dir: dataDir, bwrap_available, stateful_dir: join(dataDir, 'slots') });
  });

  app.get('/slots', (c) => {
    const seen = [...slots.values()].filter(({ name }) => seesSlot(c.get('admission'), name));
    return reply({ slots: seen.map(standing) });
  });

  const artifact = (work: (order: ArtifactOrder) => Promise<object>) => async (c: HttpContext) => {
    const body = await bodyOf(c);
    if (!isRecord(body)) throw new ApiError(400, 'Invalid JSON');
    return reply(await work({ slots, body, scope: c.get('admission') }));
  };
  app.post('/artifacts/read', artifact(readArtifact));
  app.post('/artifacts/list', artifact(listArtifacts));
  app.post('/artifacts/archive', artifact(packArtifacts));

  async function reset(admission: Admission, slotId: unknown): Promise<ToolReply> {
    try {
      const slot = slotNamed({ slots }, slotId, admission);
      if (typeof slot === 'string') return { ...failed(slot), execution_id: null };
      await slot.reset();
      return { ...done(`Reset workspace for ${slot.name}`), execution_id: null };
    } catch (error) {
      if (error instanceof Fault && error.fault !== 'INTERNAL') return { ...failed(error.message), execution_id: null };
      throw error;
    }
  }

  return app;
}

const standing = (slot: HttpSlot) => ({
  slot_id: slot.name,
  state: slot.busy ? 'executing' : 'available',
  workspace_dir: '/workspace',
  current_execution_id: slot.executionId,
});

/** Slots side by side, the orders of one slot one after the other; the answers as they were asked. */
async function inOrderOfSlots<T>(orders: readonly unknown[], run: (order: unknown) => Promise<T>): Promise<T[]> {
  const turns = new Map<unknown, Promise<unknown>>();
  return await Promise.all(
    orders.map(async (order) => {
      const slot = isRecord(order) ? order['slot_id'] : undefined;
      const mine = (turns.get(slot) ?? Promise.resolve()).then(() => run(order));
      turns.set(
        slot,
        mine.catch(() => undefined),
      );
      return await mine;
    }),
  );
}

async function bodyOf(c: HttpContext): Promise<unknown> {
  const text = await readBody(c.env, { maxBytes: MAX_BODY_BYTES });
  try {
    return parseJson(text);
  } catch {
    throw new ApiError(400, 'Invalid JSON');
  }
}
