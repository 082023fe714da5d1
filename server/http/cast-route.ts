// Recordings over HTTP: the list, downloads with ranges, and the parts that the asciinema player asks for. What a token may not see is not there.
import { Readable } from 'node:stream';
import { Hono } from 'hono';
import { castMethods } from '../../protocol/cast.ts';
import { Fault } from '../../protocol/fault.ts';
import type { Gate } from '../auth/gate.ts';
import { narrowed, requireSlot, requireVisible } from '../auth/scope.ts';
import { type ExportFormat, exportFormats } from '../cast/export.ts';
import type { Library } from '../cast/library.ts';
import type { Lane } from '../methods/lane.ts';
import { type HttpContext, type HttpEnv, needs } from './env.ts';
import { partHeaders, partOf } from './range.ts';
import { askedBy, downloadHeaders, streamReply } from './stream-reply.ts';

export interface CastRouteOptions {
  readonly gate: Gate;
  readonly library: Pick<Library, 'list' | 'slotOf' | 'export' | 'segmentIndex' | 'segment'>;
  /** The turns of what is costly: the same as for calls. */
  readonly lane: Lane;
}

export function castRoutes({ gate, library, lane }: CastRouteOptions): Hono<HttpEnv> {
  const app = new Hono<HttpEnv>();
  const inTurn = <T>(c: HttpContext, work: () => Promise<T>): Promise<T> =>
    lane.run(c.get('admission').id, async () => {
      if (c.req.raw.signal.aborted) throw new Fault('CANCELLED');
      return await work();
    });
  app.use('/casts', needs(gate, 'viewer'));
  app.use('/casts/*', needs(gate, 'viewer'));

  app.get('/casts', async (c) => {
    const filter = filterOf(c);
    if (filter.slot !== undefined) requireSlot(c.get('admission'), filter.slot);
    return c.json({ casts: await inTurn(c, () => library.list(narrowed(c.get('admission'), filter))) });
  });

  app.get('/casts/:file{[^/]+\\.cast}', async (c) => {
    const cast = c.req.param('file').slice(0, -'.cast'.length);
    await requireVisible(library, cast, c.get('admission'));
    return await download(c, { library, lane }, { cast, format: formatOf(c) });
  });

  app.get('/casts/:cast/index.json', async (c) => {
    const cast = c.req.param('cast');
    await requireVisible(library, cast, c.get('admission'));
    return c.json(await inTurn(c, () => library.segmentIndex(cast, untilOf(c))));
  });

  app.get('/casts/:cast/:segment{segment-\\d{1,9}\\.json}', async (c) => {
    const cast = c.req.param('cast');
    await requireVisible(library, cast, c.get('admission'));
    const number = Number(/\d+/.exec(c.req.param('segment'))?.[0]);
    return c.json(await inTurn(c, () => library.segment(cast, number, untilOf(c))));
  });

  return app;
}

async function download(
  c: HttpContext,
  { library, lane }: Pick<CastRouteOptions, 'library' | 'lane'>,
  { cast, format }: { readonly cast: string; readonly format: ExportFormat },
): Promise<Response> {
  const found = await library.export(cast, format);
  const headers = downloadHeaders(found.contentType, format === 'txt' ? `${cast}.txt` : `${cast}.cast`);
  const { bytes } = found;
  if (bytes === null) {
    // Converted as it is read, each piece in turn.
    const pieces = lane.pieces(c.get('admission').id, found.stream());
    return streamReply(c, { status: 200, headers, stream: bytesOf(pieces) });
  }
  // A recording only grows, so its size tells its content.
  const facts = { size: bytes, etag: `"${cast}-${bytes}"` };
  const part = partOf(askedBy(c), facts);
  const isWhole = part.status === 200;
  const stream = bytesOf(isWhole ? found.stream() : found.stream({ start: part.start, end: part.end }));
  return streamReply(c, { status: part.status, headers: { ...headers, ...partHeaders(part, facts) }, stream });
}

const bytesOf = (pieces: AsyncGenerator<Buffer | string>): Readable => Readable.from(pieces, { objectMode: false });

/** Parameters of the list that are numbers. */
const NUMBERS = ['limit', 'from', 'to'] as const;

const numberOf = (text = ''): number => (/^\d{1,16}$/.test(text) ? Number(text) : Number.NaN);

function filterOf(c: HttpContext) {
  const query = c.req.query();
  const numbers = NUMBERS.filter((name) => query[name] !== undefined).map((name) => [name, numberOf(query[name])]);
  const filter = castMethods['cast.list'].params.safeParse({ ...query, ...Object.fromEntries(numbers) });
  if (filter.success) return filter.data;
  throw new Fault(
    'INVALID_PARAMS',
    'The list takes slot, label, search (words), from and to (ms since 1970), limit (1 to 1000) and before (a cast).',
  );
}

function formatOf(c: HttpContext): ExportFormat {
  const asked = c.req.query('format') ?? 'v3';
  const format = exportFormats.find((known) => known === asked);
  if (format === undefined) throw new Fault('INVALID_PARAMS', `format: ${exportFormats.join(', ')}`);
  return format;
}

/** Milliseconds at which a recording that goes on is frozen. */
function untilOf(c: HttpContext): number | undefined {
  const asked = c.req.query('until');
  if (asked === undefined) return undefined;
  if (!/^\d{1,15}$/.test(asked))
    throw new Fault('INVALID_PARAMS', 'until: whole milliseconds since the recording began');
  return Number(asked);
}
