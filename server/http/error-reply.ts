// The one form of every HTTP error: `{error: {code, message, data}}`, as on the WebSocket, under the fault's status. No stack and no path of the host gets into it.
import { randomBytes } from 'node:crypto';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import type { Logger } from 'pino';
import { encodeErrorBody } from '../../protocol/envelope.ts';
import { Fault } from '../../protocol/fault.ts';
import { exhaustion } from '../methods/exhaustion.ts';

/** A fault for whatever was thrown; what is no fault is logged under the id that the reply names. */
export function toFault(error: unknown, log: Logger, route: string): Fault {
  if (error instanceof Fault) return error;
  const exhausted = exhaustion(error);
  if (exhausted !== null) return exhausted;
  const id = `err_${randomBytes(6).toString('hex')}`;
  log.error({ id, route, err: error }, 'request failed');
  return new Fault('INTERNAL', `A defect in the gateway. Its log tells more under ${id}.`, { id });
}

export function errorReply(fault: Fault): Response {
  const headers = new Headers({ 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store' });
  if (fault.http === 401) headers.set('www-authenticate', 'Bearer');
  const { afterMs } = fault.detail;
  if (typeof afterMs === 'number') headers.set('retry-after', String(Math.ceil(afterMs / 1000)));
  return new Response(encodeErrorBody(fault), { status: fault.http as ContentfulStatusCode, headers });
}
