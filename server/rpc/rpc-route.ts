// /ws: the WebSocket that speaks JSON-RPC; with ?slot=NAME it is bound to that slot before its first call.
import type { Logger } from 'pino';
import type { WebSocket } from 'ws';
import { Fault } from '../../protocol/fault.ts';
import { requireRole } from '../auth/gate.ts';
import { requireSlot } from '../auth/scope.ts';
import type { Peer } from '../methods/context.ts';
import { Connection } from './connection.ts';
import type { Dispatcher } from './dispatcher.ts';
import type { SocketRoute, Visit } from './endpoint.ts';
import type { OutboxOptions } from './outbox.ts';

export const RPC_PROTOCOL = 'slotcast.v1';

/** A file of 16 MiB (the most that one message carries) is 22 MiB as base64; the rest is for text that JSON escapes. */
const MAX_PAYLOAD_BYTES = 32 * 1024 * 1024;

export interface RpcRouteOptions {
  readonly dispatcher: Dispatcher;
  readonly log: Logger;
  /** Leases the slot to the peer; throws a Fault when it can't be had. */
  readonly bind: (peer: Peer, slot: string) => Promise<void>;
  readonly outbox?: OutboxOptions;
}

export function rpcRoute(options: RpcRouteOptions): SocketRoute {
  const { dispatcher, log, bind, outbox } = options;
  return {
    serves: (pathname) => pathname === '/ws',
    protocols: [RPC_PROTOCOL],
    defaultProtocol: RPC_PROTOCOL,
    maxPayloadBytes: MAX_PAYLOAD_BYTES,
    shutdownCode: 4503,

    check({ admission, url }: Visit) {
      const slot = url.searchParams.get('slot');
      if (slot === null) return;
      requireRole(admission.role, 'agent', 'Binding a slot');
      requireSlot(admission, slot);
    },

    open(socket: WebSocket, { admission, url }: Visit) {
      const connection = new Connection({
        socket,
        grant: admission,
        dispatcher,
        log,
        ...(outbox === undefined ? {} : { outbox }),
      });
      const slot = url.searchParams.get('slot');
      if (slot !== null) void bindFirst(connection, { socket, slot, bind, log });
    },
  };
}

interface Binding {
  readonly socket: WebSocket;
  readonly slot: string;
  readonly bind: RpcRouteOptions['bind'];
  readonly log: Logger;
}

/** No call is read before the slot is bound; when it can't be, the connection ends with the fault's code. */
async function bindFirst(connection: Connection, { socket, slot, bind, log }: Binding): Promise<void> {
  socket.pause();
  try {
    await bind(connection, slot);
  } catch (error) {
    if (!(error instanceof Fault)) log.error({ connection: connection.id, slot, err: error }, 'binding failed');
    const fault = error instanceof Fault ? error : new Fault('INTERNAL');
    connection.close(4000 + fault.http, fault.message);
  }
  socket.resume();
}
