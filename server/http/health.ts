// /healthz: the process answers. /readyz: it can do its work, or the reason why not and the remedy. Open to everybody, so they say nothing else.
import { Hono } from 'hono';
import type { Capability } from '../../protocol/server.ts';
import type { HttpEnv } from './env.ts';

export interface HealthOptions {
  capabilities(): Readonly<Record<string, Capability>>;
  /** Names of the capabilities without which nothing can run. */
  readonly required: readonly string[];
  readonly draining: () => boolean;
}

interface Obstacle {
  readonly name: string;
  readonly reason: string;
  readonly remedy?: string;
}

export function healthRoutes(options: HealthOptions): Hono<HttpEnv> {
  const app = new Hono<HttpEnv>();
  const fresh = { 'cache-control': 'no-store' };
  app.get('/healthz', (c) => c.json({ status: 'ok' }, 200, fresh));
  app.get('/readyz', (c) => {
    const obstacles = obstaclesOf(options);
    return obstacles.length === 0
      ? c.json({ ready: true }, 200, fresh)
      : c.json({ ready: false, obstacles }, 503, fresh);
  });
  return app;
}

function obstaclesOf({ capabilities, required, draining }: HealthOptions): Obstacle[] {
  const obstacles: Obstacle[] = draining() ? [{ name: 'draining', reason: 'The gateway is shutting down.' }] : [];
  const found = capabilities();
  for (const name of required) {
    const capability = found[name];
    if (capability === undefined) obstacles.push({ name, reason: 'It was not probed.' });
    else if (!capability.ok) {
      const { detail: reason, remedy } = capability;
      obstacles.push(remedy === undefined ? { name, reason } : { name, reason, remedy });
    }
  }
  return obstacles;
}
