// Requests that have no whole reply yet, for who has to know that nobody is cut off. It changes nothing about them.
import type { Server, ServerResponse } from 'node:http';

export class InFlight {
  readonly #replies = new Set<ServerResponse>();

  constructor(server: Server) {
    server.on('request', (_request, reply) => {
      this.#replies.add(reply);
      reply.once('close', () => this.#replies.delete(reply));
    });
  }

  get size(): number {
    return this.#replies.size;
  }
}
