// Conditional and partial GET, as RFC 9110 has it: what part of a resource a request wants. Pure.

export interface Asked {
  readonly range?: string | undefined;
  readonly ifRange?: string | undefined;
  readonly ifNoneMatch?: string | undefined;
}

export interface Facts {
  readonly size: number;
  /** Strong, with its quotes. */
  readonly etag: string;
}

/** `start` and `end` (inclusive) of the bytes to send; for 304 and 416 nothing is sent. */
export interface Part {
  readonly status: 200 | 206 | 304 | 416;
  readonly start: number;
  readonly end: number;
}

export function partOf(asked: Asked, { size, etag }: Facts): Part {
  const nothing = { start: size, end: size - 1 };
  if (asked.ifNoneMatch !== undefined && names(asked.ifNoneMatch, etag)) return { status: 304, ...nothing };
  const whole: Part = { status: 200, start: 0, end: size - 1 };
  if (asked.range === undefined || (asked.ifRange !== undefined && asked.ifRange !== etag)) return whole;
  // Several ranges at once are answered with the whole, as a server may.
  const [, first = '', last = ''] = /^bytes=(\d*)-(\d*)$/.exec(asked.range.trim()) ?? [];
  if (first === '' && last === '') return whole;
  const start = first === '' ? Math.max(0, size - Number(last)) : Number(first);
  const end = first === '' || last === '' ? size - 1 : Math.min(Number(last), size - 1);
  if (first !== '' && last !== '' && Number(last) < start) return whole;
  return start > end ? { status: 416, ...nothing } : { status: 206, start, end };
}

/** The headers that belong to a part. */
export function partHeaders({ status, start, end }: Part, { size, etag }: Facts): Record<string, string> {
  const always = { 'accept-ranges': 'bytes', etag };
  if (status === 304) return always;
  if (status === 416) return { ...always, 'content-range': `bytes */${size}` };
  const length = { 'content-length': String(end - start + 1) };
  return status === 206
    ? { ...always, ...length, 'content-range': `bytes ${start}-${end}/${size}` }
    : { ...always, ...length };
}

const names = (header: string, etag: string): boolean =>
  header.trim() === '*' || header.split(',').some((tag) => tag.trim().replace(/^W\//, '') === etag);
