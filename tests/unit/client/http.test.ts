import { afterEach, beforeEach, expect, test } from 'vitest';
import { addressOf } from '../../../client/address.ts';
import { encodePath } from '../../../client/http.ts';
import { encodeErrorBody } from '../../../protocol/envelope.ts';
import { Fault } from '../../../protocol/fault.ts';
import { WireServer } from './wire-server.ts';

let server: WireServer;
beforeEach(async () => {
  server = await WireServer.open();
});
afterEach(() => server.close());

test.each([
  ['http://127.0.0.1:8080', 'ws://127.0.0.1:8080/ws', 'http://127.0.0.1:8080/'],
  ['https://example.org/slotcast', 'wss://example.org/slotcast/ws', 'https://example.org/slotcast/'],
  ['ws://[::1]:8080/ws', 'ws://[::1]:8080/ws', 'http://[::1]:8080/'],
])('%s is the gateway at %s', (url, socket, base) => {
  expect(addressOf(url)).toEqual({ socket, base });
});

test.each(['nonsense', 'ftp://host', 'http://host/?token=x'])('%s is refused as a URL', (url) => {
  expect(() => addressOf(url)).toThrow(TypeError);
});

test.each([
  ['a/b c.txt', 'a/b%20c.txt'],
  ['/workspace/ä?#', '/workspace/%C3%A4%3F%23'],
  ['../../slot_1/files/x', '..%2F..%2Fslot_1%2Ffiles%2Fx'],
  ['..', '.%2F..'],
])('the path %s can lead to no other route: %s', (path, encoded) => {
  expect(encodePath(path)).toBe(encoded);
  const { pathname } = new URL(`slots/slot_0/files/${encoded}`, 'http://host/');
  expect(decodeURIComponent(pathname.slice('/slots/slot_0/files/'.length))).toBe(path === '..' ? './..' : path);
});

test('a file goes up as a stream, with the token and the condition in headers', async () => {
  const slot = await (await server.client()).acquire();
  const uploads: { url: string | undefined; headers: unknown; body: string }[] = [];
  server.onRequest = async (request, response) => {
    let body = '';
    for await (const part of request) body += part;
    uploads.push({ url: request.url, headers: request.headers, body });
    response.setHeader('content-type', 'application/json').end('{"bytes":10,"sha256":"00"}');
  };
  async function* parts() {
    yield Buffer.from('first');
    yield Buffer.from('second');
  }
  expect(await slot.file.upload('dir/big file', parts(), { expectedSha256: 'ab' })).toMatchObject({ bytes: 10 });
  expect(uploads).toMatchObject([
    {
      url: '/slots/slot_0/files/dir/big%20file',
      body: 'firstsecond',
      headers: { authorization: 'Bearer token-of-the-test', 'if-match': '"ab"' },
    },
  ]);
});

test('a part of a file comes down as a stream', async () => {
  const slot = await (await server.client()).acquire();
  server.onRequest = (request, response) => {
    expect(request.headers.range).toBe('bytes=2-4');
    response.writeHead(206, { 'content-type': 'text/plain', 'content-length': '3' }).end('cde');
  };
  const { stream, bytes, mime } = await slot.file.download('x', { offset: 2, maxBytes: 3 });
  expect([bytes, mime, await new Response(stream).text()]).toEqual([3, 'text/plain', 'cde']);
});

test('an HTTP error is the Fault that it names', async () => {
  const slot = await (await server.client()).acquire();
  server.onRequest = (_request, response) => {
    response.writeHead(404).end(encodeErrorBody(new Fault('FILE_NOT_FOUND', 'There is no x.')));
  };
  await expect(slot.file.download('x')).rejects.toMatchObject({ fault: 'FILE_NOT_FOUND', message: 'There is no x.' });
});
