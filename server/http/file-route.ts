// Files of a slot's workspace as streams, for what is too large for a message. Which path leads where, the workspace decides.
import type { Readable } from 'node:stream';
import { Hono } from 'hono';
import { archiveFormat } from '../../protocol/artifact.ts';
import { Fault } from '../../protocol/fault.ts';
import { sha256 } from '../../protocol/file.ts';
import type { Gate } from '../auth/gate.ts';
import { type HttpContext, type HttpEnv, needs, slotOf } from './env.ts';
import { type Facts, type Part, partHeaders, partOf } from './range.ts';
import { askedBy, downloadHeaders, streamReply } from './stream-reply.ts';

/** The part of a workspace that is used here. */
export interface FileSource {
  openRead(
    path: string,
    range: (facts: Facts) => { readonly start: number; readonly end: number },
  ): Promise<Facts & { readonly mime: string; readonly mtimeMs: number; readonly stream: Readable }>;
  writeStream(
    path: string,
    source: AsyncIterable<Uint8Array>,
    terms: {
      readonly maxBytes: number;
      readonly size?: number | undefined;
      readonly expectedSha256?: string | undefined;
    },
  ): Promise<{ readonly bytes: number; readonly sha256: string }>;
  archiveStream(order: {
    readonly path: string;
    readonly format: 'tar.gz' | 'zip';
    readonly signal: AbortSignal;
  }): Promise<{ readonly stream: Readable; readonly mime: string }>;
}

export interface FileRouteOptions {
  readonly gate: Gate;
  /** The slot's workspace; throws a Fault when there is none now. */
  readonly workspace: (slot: string) => FileSource;
  /** Then no upload begins any more. */
  readonly draining?: () => boolean;
  readonly maxUploadBytes?: number;
}

/** Ends what would never end; the disk and its quota are the real limit. */
const MAX_UPLOAD_BYTES = 8 * 1024 ** 3;

export function fileRoutes(options: FileRouteOptions): Hono<HttpEnv> {
  const { gate, workspace, draining, maxUploadBytes = MAX_UPLOAD_BYTES } = options;
  const app = new Hono<HttpEnv>();

  app.get('/slots/:slot/files/*', needs(gate, 'agent'), async (c) => {
    const files = workspace(slotOf(c));
    const path = pathOf(c);
    let part: Part = { status: 200, start: 0, end: 0 };
    const file = await files.openRead(path, (facts) => {
      part = partOf(askedBy(c), facts);
      return part;
    });
    const headers = {
      ...downloadHeaders(file.mime, path.split('/').at(-1) ?? 'file'),
      ...partHeaders(part, file),
      'last-modified': new Date(file.mtimeMs).toUTCString(),
    };
    return streamReply(c, { status: part.status, headers, stream: file.stream });
  });

  app.put('/slots/:slot/files/*', needs(gate, 'agent'), async (c) => {
    if (draining?.()) throw new Fault('SHUTTING_DOWN');
    const files = workspace(slotOf(c));
    // Left open when it is not read to its end, so that the reply still gets out.
    const source = c.env.incoming.iterator({ destroyOnReturn: false });
    const expectedSha256 = expectedOf(c);
    const terms = { maxBytes: maxUploadBytes, size: sizeOf(c), expectedSha256 };
    return c.json(await files.writeStream(pathOf(c), source, terms));
  });

  app.get('/slots/:slot/archive', needs(gate, 'agent'), async (c) => {
    const slot = slotOf(c);
    const path = c.req.query('path') ?? '.';
    const format = archiveFormat.safeParse(c.req.query('format') ?? 'tar.gz');
    if (!format.success) throw new Fault('INVALID_PARAMS', 'format: tar.gz or zip');
    const { signal } = c.req.raw;
    const { stream, mime } = await workspace(slot).archiveStream({ path, format: format.data, signal });
    const headers = downloadHeaders(mime, `${slot}.${format.data}`);
    return streamReply(c, { status: 200, headers, stream });
  });

  return app;
}

/** As the client announced it. Node has checked that it is a number. */
function sizeOf(c: HttpContext): number | undefined {
  const header = c.req.header('content-length');
  return header === undefined ? undefined : Number(header);
}

/** What stands behind `/files/`, decoded once. */
function pathOf(c: HttpContext): string {
  const { pathname } = new URL(c.req.url);
  const raw = pathname.split('/').slice(4).join('/');
  try {
    return decodeURIComponent(raw);
  } catch {
    throw new Fault('INVALID_PARAMS', 'The path is not percent-encoded UTF-8.');
  }
}

/** `If-Match: "SHA-256 in hex"` is the expectedSha256 of file.write. */
function expectedOf(c: HttpContext): string | undefined {
  const header = c.req.header('if-match');
  if (header === undefined) return undefined;
  const parsed = sha256.safeParse(/^"(.*)"$/.exec(header.trim())?.[1]);
  if (!parsed.success) throw new Fault('INVALID_PARAMS', 'If-Match takes the SHA-256 of the file as "64 hex digits".');
  return parsed.data;
}
