// The body of a request as text, bounded in bytes and in time. It is read from Node's request, as the handlers of files do.
import type { HttpBindings } from '@hono/node-server';
import { Fault } from '../../protocol/fault.ts';

export interface BodyLimits {
  readonly maxBytes: number;
  /** Without it, as long as a request may take. */
  readonly withinMs?: number;
}

/** Faults: TOO_LARGE; CANCELLED when its sender is gone; INVALID_REQUEST for a body that does not arrive in time, which also ends its connection. */
export async function readBody(
  { incoming, outgoing }: HttpBindings,
  { maxBytes, withinMs }: BodyLimits,
): Promise<string> {
  const announced = Number(incoming.headers['content-length'] ?? 0);
  if (announced > maxBytes) throw tooLarge(maxBytes);
  const body = collect(incoming, maxBytes);
  if (withinMs === undefined) return await body;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      // Else Node would go on reading what is left of it.
      outgoing.setHeader('connection', 'close');
      reject(new Fault('INVALID_REQUEST', `The body did not arrive within ${withinMs / 1000} s.`));
    }, withinMs);
  });
  try {
    return await Promise.race([body, late]);
  } finally {
    clearTimeout(timer);
  }
}

async function collect(incoming: HttpBindings['incoming'], maxBytes: number): Promise<string> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  // Left open when it is not read to its end, so that the reply still gets out.
  try {
    for await (const piece of incoming.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      bytes += piece.length;
      if (bytes > maxBytes) throw tooLarge(maxBytes);
      pieces.push(piece);
    }
  } catch (error) {
    throw error instanceof Fault ? error : new Fault('CANCELLED', 'The connection ended before the body did.');
  }
  return new TextDecoder().decode(Buffer.concat(pieces));
}

const tooLarge = (maxBytes: number): Fault => new Fault('TOO_LARGE', `A body has at most ${maxBytes} bytes.`);
