// Replies whose body flows: a reader that goes away ends its source, and HEAD opens none.
import { Readable } from 'node:stream';
import { Fault } from '../../protocol/fault.ts';
import type { HttpContext } from './env.ts';
import type { Asked } from './range.ts';
import { FOREIGN_POLICY } from './security-header.ts';

export interface StreamReply {
  readonly status: 200 | 206 | 304 | 416;
  readonly headers: Readonly<Record<string, string>>;
  readonly stream: Readable;
}

export function streamReply(c: HttpContext, { status, headers, stream }: StreamReply): Response {
  const sendsBody = c.req.method !== 'HEAD' && (status === 200 || status === 206);
  // A source that ends with its reader has done so already when that one left early: there is nobody to answer.
  if (sendsBody && stream.destroyed) throw new Fault('CANCELLED', 'The connection ended before its reply began.');
  if (!sendsBody) stream.destroy();
  // A source that fails after the headers went out can only cut the connection; without a listener it would end the process.
  stream.on('error', () => {});
  const body = sendsBody ? (Readable.toWeb(stream) as ReadableStream<Uint8Array>) : null;
  return new Response(body, { status, headers });
}

export const askedBy = (c: HttpContext): Asked => ({
  range: c.req.header('range'),
  ifRange: c.req.header('if-range'),
  ifNoneMatch: c.req.header('if-none-match'),
});

/** For bytes that a payload chose: saved under this name, never shown in the gateway's origin. */
export function downloadHeaders(mime: string, name: string): Record<string, string> {
  const plain = name.replace(/[^\x20-\x7e]|["\\%]/g, '_');
  return {
    'content-type': mime,
    'content-disposition': `attachment; filename="${plain}"; filename*=UTF-8''${encodeRfc8187(name)}`,
    'content-security-policy': FOREIGN_POLICY,
    'x-content-type-options': 'nosniff',
  };
}

/** encodeURIComponent leaves some characters that RFC 8187 does not allow, and refuses half a surrogate pair. */
const encodeRfc8187 = (name: string): string =>
  encodeURIComponent(name.replace(/\p{Surrogate}/gu, '\ufffd')).replace(
    /['()*!]/g,
    (char) => `%${char.charCodeAt(0).toString(16)}`,
  );
