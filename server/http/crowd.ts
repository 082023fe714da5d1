// How many TCP connections there are at most, and who goes when there are more: the one that has stood there longest without a right credential.
// Who has shown one is never cut off here.
import type { Server } from 'node:http';
import type { Socket } from 'node:net';

export interface CrowdOptions {
  readonly maxConnections: number;
  /** Whether something on this connection was let in by its credential. */
  readonly isKnown: (socket: Socket) => boolean;
}

/** Node itself would turn away who comes, and so whoever opens many connections would lock out everybody else. */
export function boundConnections(server: Server, { maxConnections, isKnown }: CrowdOptions): void {
  const open = new Set<Socket>();
  /** In the order of coming; who is known by now is found out when it is its turn. */
  const strangers = new Set<Socket>();
  const leave = (socket: Socket): void => {
    open.delete(socket);
    strangers.delete(socket);
  };
  server.on('connection', (socket: Socket) => {
    open.add(socket);
    strangers.add(socket);
    socket.once('close', () => leave(socket));
    if (open.size <= maxConnections) return;
    for (const stranger of strangers) {
      strangers.delete(stranger);
      if (isKnown(stranger)) continue;
      leave(stranger);
      stranger.destroy();
      return;
    }
  });
}
