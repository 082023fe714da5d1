// Recordings over HTTP: the list, downloads in three formats, ranges, the player's segments, and what a token of one slot may see.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { errorName, type Site, startSite } from './harness.ts';

let site: Site;
const CAST = 'cast_20260101-120000-aa';
const OTHER = 'cast_20260101-130000-bb';

beforeEach(async () => {
  site = await startSite();
  await writeCast(CAST, 'slot_0', 'one');
  await writeCast(OTHER, 'slot_1', 'two');
});
afterEach(() => site.close());

async function writeCast(cast: string, slot: string, word: string): Promise<void> {
  const startedAt = cast === CAST ? 1_767_268_800_000 : 1_767_272_400_000;
  const header = {
    version: 3,
    term: { cols: 80, rows: 24 },
    timestamp: startedAt / 1000,
    slotcast: { cast, slot, label: null, startedAt },
  };
  const lines = [header, [0.5, 'o', `${word}\r\n`], [1.5, 'o', 'end\r\n']];
  await writeFile(join(site.casts, `${cast}.cast`), lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
}

test('the list has the newest first, and takes the filters of cast.list', async () => {
  const list = async (query: string) =>
    (await site.ask(`/casts${query}`)).json<{ casts: { cast: string }[] }>().casts.map(({ cast }) => cast);
  expect(await list('')).toEqual([OTHER, CAST]);
  expect(await list('?slot=slot_0')).toEqual([CAST]);
  expect(await list('?limit=1')).toEqual([OTHER]);
  expect(await list(`?before=${OTHER}`)).toEqual([CAST]);
  expect(await list('?search=SLOT_1')).toEqual([OTHER]);
  expect(await list('?from=1767272400000')).toEqual([OTHER]);
  expect(await list('?to=1767272400000')).toEqual([CAST]);
  const wrong = ['?limit=0', '?limit=x', '?nope=1', '?from=', '?from=now', '?to=-1', `?search=${'x'.repeat(201)}`];
  for (const query of wrong) expect((await site.ask(`/casts${query}`)).status).toBe(400);
});

test('a cast comes as it is recorded, as v2 and as text', async () => {
  const v3 = await site.ask(`/casts/${CAST}.cast`);
  expect(v3.headers).toMatchObject({ 'content-type': 'application/x-asciicast', 'accept-ranges': 'bytes' });
  expect(v3.headers['content-disposition']).toContain(`${CAST}.cast`);
  expect(v3.text.split('\n')[1]).toBe('[0.5,"o","one\\r\\n"]');
  const v2 = await site.ask(`/casts/${CAST}.cast?format=v2`);
  expect(JSON.parse(v2.text.split('\n')[0] ?? '')).toMatchObject({ version: 2, width: 80, height: 24 });
  expect(JSON.parse(v2.text.split('\n')[2] ?? '')).toEqual([2, 'o', 'end\r\n']);
  const text = await site.ask(`/casts/${CAST}.cast?format=txt`);
  expect([text.text, text.headers['content-type']]).toEqual(['one\nend\n', 'text/plain; charset=utf-8']);
  expect((await site.ask(`/casts/${CAST}.cast?format=gif`)).status).toBe(400);
});

test('ranges of a download, and HEAD', async () => {
  const whole = await site.ask(`/casts/${CAST}.cast`);
  const part = await site.ask(`/casts/${CAST}.cast`, { headers: { range: 'bytes=1-9' } });
  expect([part.status, part.text]).toEqual([206, whole.text.slice(1, 10)]);
  const head = await site.ask(`/casts/${CAST}.cast`, { method: 'HEAD' });
  expect([head.headers['content-length'], head.text]).toEqual([String(whole.body.length), '']);
  const same = await site.ask(`/casts/${CAST}.cast`, { headers: { 'if-none-match': String(whole.headers.etag) } });
  expect(same.status).toBe(304);
});

test('the player finds index and segments, frozen at a moment when asked', async () => {
  const index = (await site.ask(`/casts/${CAST}/index.json?until=1000`)).json<{
    duration: number;
    segments: { url: string }[];
  }>();
  expect(index.duration).toBe(1);
  const segment = (await site.ask(`/casts/${CAST}/${index.segments[0]?.url}`)).json<{ events: unknown[] }>();
  expect(segment.events).toEqual([
    [0.5, 'o', 'one\r\n'],
    [1, 'o', ''],
  ]);
  expect((await site.ask(`/casts/${CAST}/index.json?until=x`)).status).toBe(400);
  expect((await site.ask(`/casts/${CAST}/segment-7.json`)).status).toBe(404);
});

test.each(['cast_none', 'no', '..%2f..%2fsecret', 'cast_%00', '%2e%2e'])('%s is no cast', async (name) => {
  for (const path of [`/casts/${name}.cast`, `/casts/${name}/index.json`, `/casts/${name}/segment-0.json`]) {
    const reply = await site.ask(path);
    expect(reply.status).toBe(404);
    expect(reply.text).not.toContain(site.dataDir);
  }
});

test('a token of one slot sees the recordings of that slot and does not learn of others', async () => {
  const token = await site.token('viewer', 'slot_0');
  const { casts } = (await site.ask('/casts', { token })).json<{ casts: { cast: string }[] }>();
  expect(casts.map(({ cast }) => cast)).toEqual([CAST]);
  expect((await site.ask('/casts?slot=slot_1', { token })).status).toBe(403);
  for (const path of ['.cast', '/index.json', '/segment-0.json']) {
    expect((await site.ask(`/casts/${CAST}${path}`, { token })).status).toBe(200);
    const other = await site.ask(`/casts/${OTHER}${path}`, { token });
    const missing = await site.ask(`/casts/cast_none${path}`, { token });
    expect([other.status, errorName(other), other.text]).toEqual([404, 'CAST_NOT_FOUND', missing.text]);
  }
});
