// Against the WebSocket and TCP: frames that no proper client sends, bytes that come drop by drop, connections that only stand there.
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { until } from '../support/gateway.ts';
import { attackOnce } from './attack.ts';
import type { User } from './catalogue.ts';
import { target as startTarget, type Target, TOKEN, targets } from './gateway.ts';
import { ask, BINARY, CLOSE, type FrameOptions, frame, handshake, PING, PONG, TEXT, Wire } from './wire.ts';

/** The same whoever runs the gateway. */
const me: User = process.getuid?.() === 0 ? 'root' : 'user';
const MIB = 1024 * 1024;
const of = targets();
let target: Target;
const open: Wire[] = [];

beforeAll(async () => {
  target = await of(me);
});
afterAll(() => {
  for (const wire of open) wire.close();
});

async function upgraded(path?: string): Promise<Wire> {
  const wire = await Wire.upgraded(target.port, path);
  open.push(wire);
  return wire;
}

const INFO = '{"jsonrpc":"2.0","id":1,"method":"server.info"}';

/** The code with which a connection ends that sends these frames. */
async function codeFor(frames: readonly Buffer[], path?: string): Promise<number | null> {
  const wire = await upgraded(path);
  wire.send(...frames);
  return await wire.closeCode();
}

/** The text of the reply to a call that arrives as these frames. */
async function replyTo(frames: readonly Buffer[]): Promise<string> {
  const wire = await upgraded();
  wire.send(...frames);
  await wire.until(() => wire.frames().some(({ opcode }) => opcode === TEXT));
  wire.close();
  return (
    wire
      .frames()
      .find(({ opcode }) => opcode === TEXT)
      ?.payload.toString() ?? ''
  );
}

const more = (payload: string | Buffer, options: FrameOptions = {}): Buffer =>
  frame(payload, { opcode: 0, ...options });
const first = (payload: string | Buffer): Buffer => frame(payload, { fin: false });

const goodbye = (code: number, reason = ''): Buffer => {
  const payload = Buffer.alloc(2 + reason.length, reason);
  payload.writeUInt16BE(code, 0);
  payload.write(reason, 2, 'latin1');
  return frame(payload, { opcode: CLOSE });
};

describe('E', () => {
  attackOnce('E08', async () => {
    const euro = Buffer.from('€');
    for (const bytes of ['c328', 'ff', 'c080', 'eda080', 'f4908080', 'e282', 'f8888080 80'.replace(' ', '')]) {
      expect(await codeFor([frame(Buffer.from(bytes, 'hex'))]), bytes).toBe(1007);
    }
    expect(await codeFor([first('{"a":"'), more(Buffer.from('c328', 'hex'))])).toBe(1007);
    expect(await codeFor([first(euro.subarray(0, 2)), more('x')])).toBe(1007);
    // A character in two fragments is one.
    const split = Buffer.from(INFO.replace('}', ',"€":0}'));
    const at = split.indexOf(euro) + 1;
    expect(await replyTo([first(split.subarray(0, at)), more(split.subarray(at))])).toContain('"slotcast"');
    expect(await codeFor([frame(Buffer.from('c328', 'hex'))], '/live/slot_0')).toBe(1007);
  });

  attackOnce('E09', async () => {
    const before = target.memory();
    // Only said to be so long: nothing is kept for what does not come.
    for (const claims of [BigInt(32 * MIB + 1), 2n ** 32n, 2n ** 53n, 2n ** 63n - 1n]) {
      expect(await codeFor([frame('', { claims })]), String(claims)).toBe(1009);
      expect(await codeFor([first('{'), more('', { claims })]), String(claims)).toBe(1009);
    }
    expect(await codeFor([frame('', { claims: 1025n })], '/live/slot_0')).toBe(1009);
    expect(await codeFor([first(''), ...Array<Buffer>(33).fill(more(Buffer.alloc(MIB, ' '), { fin: false }))])).toBe(
      1009,
    );
    // A million of one byte each.
    const wire = await upgraded();
    const thousand = Buffer.concat(Array<Buffer>(1000).fill(more('x', { fin: false })));
    let peak = 0;
    const ended = wire.closeCode();
    wire.send(first('x'));
    for (let sent = 0; sent < 1000 && !wire.socket.destroyed; sent++) {
      if (!wire.socket.write(thousand)) await new Promise((resolve) => setImmediate(resolve));
      if (sent % 100 === 0) peak = Math.max(peak, target.memory());
    }
    expect([1008, 1009]).toContain(await ended);
    expect(peak - before).toBeLessThan(150 * MIB);
    expect(await replyTo([frame(INFO)])).toContain('"slotcast"');
  });

  attackOnce('E10', async () => {
    const refused: readonly (readonly [string, number, readonly Buffer[]])[] = [
      ...[1, 2, 3, 4, 5, 6, 7].map((reserved) => [`reserved ${reserved}`, 1002, [frame(INFO, { reserved })]] as const),
      ...[3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map(
        (opcode) => [`opcode ${opcode}`, 1002, [frame('', { opcode })]] as const,
      ),
      ['a reserved opcode after a good frame', 1002, [frame(INFO), frame('', { opcode: 11 })]],
      ['reserved bit of a ping', 1002, [frame('', { opcode: PING, reserved: 4 })]],
      ['a ping of 126 bytes', 1002, [frame('x'.repeat(126), { opcode: PING })]],
      ['a pong of 126 bytes', 1002, [frame('x'.repeat(126), { opcode: PONG })]],
      ['a close of 126 bytes', 1002, [frame(Buffer.alloc(126), { opcode: CLOSE })]],
      ['a ping in fragments', 1002, [frame('x', { opcode: PING, fin: false })]],
      ['a pong in fragments', 1002, [frame('x', { opcode: PONG, fin: false })]],
      ['a close in fragments', 1002, [frame('', { opcode: CLOSE, fin: false })]],
      ['a frame without a mask', 1002, [frame(INFO, { masked: false })]],
      ['a ping without a mask', 1002, [frame('', { opcode: PING, masked: false })]],
      ['a continuation of nothing', 1002, [more(INFO)]],
      ['a continuation of nothing, unfinished', 1002, [more(INFO, { fin: false })]],
      ['a message within a message', 1002, [first('{'), frame(INFO)]],
      ['a reserved bit in a continuation', 1002, [first('{'), more('}', { reserved: 4 })]],
      ['a continuation after the end', 1002, [first(INFO.slice(0, 5)), more(INFO.slice(5)), more('x')]],
      ['a close of one byte', 1002, [frame('x', { opcode: CLOSE })]],
      ['a close reason that is no UTF-8', 1007, [goodbye(1000, '\xc3\x28')]],
      ...[0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999, 5000, 65_535].map(
        (code) => [`close ${code}`, 1002, [goodbye(code)]] as const,
      ),
      ['a binary frame', 1008, [frame(INFO, { opcode: BINARY })]],
      ['a binary message in fragments', 1008, [frame('{', { opcode: BINARY, fin: false }), more('}')]],
    ];
    for (const [what, code, frames] of refused) expect(await codeFor(frames), what).toBe(code);
    for (const code of [1000, 1001, 1003, 1007, 1011, 1014, 3000, 3999, 4000, 4999]) {
      expect(await codeFor([goodbye(code)]), `close ${code}`).toBe(code);
    }
    expect(await codeFor([frame('', { opcode: CLOSE })])).toBe(1005);
    // After a goodbye nothing is done any more.
    const wire = await upgraded();
    wire.send(goodbye(1000), frame(INFO), frame('', { opcode: PING }));
    await wire.closed;
    expect(wire.frames().map(({ opcode }) => opcode)).toEqual([CLOSE]);
    // What is allowed works: fragments, empty ones too, a ping between them, one byte at a time.
    const ping = frame('between', { opcode: PING });
    expect(
      await replyTo([
        first(''),
        more(INFO.slice(0, 9), { fin: false }),
        ping,
        more('', { fin: false }),
        more(INFO.slice(9)),
        ping,
      ]),
    ).toContain('"slotcast"');
    expect(await replyTo([...frame(INFO)].map((byte) => Buffer.from([byte])))).toContain('"slotcast"');
    const pinged = await upgraded();
    pinged.send(frame('x'.repeat(125), { opcode: PING }), frame('unasked', { opcode: PONG }));
    await pinged.until(() => pinged.frames().some(({ opcode }) => opcode === PONG));
    expect(pinged.frames()[0]?.payload.toString()).toBe('x'.repeat(125));
  });

  attackOnce(
    'E13',
    async () => {
      const startMs = performance.now();
      const drip = await Wire.open(target.port);
      // Nothing at all is as slow.
      const silent = await Wire.open(target.port);
      const upgrade = await Wire.open(target.port);
      const body = await Wire.open(target.port);
      const chunked = await Wire.open(target.port);
      open.push(drip, silent, upgrade, body, chunked);
      // Signing in needs no credential, so a body may come from anybody.
      const session = `POST /session HTTP/1.1\r\nHost: 127.0.0.1:${target.port}\r\nContent-Type: application/json\r\n`;
      body.send(`${session}Content-Length: 60000\r\n\r\n{"ticket":"`);
      chunked.send(`${session}Transfer-Encoding: chunked\r\n\r\n`);
      drip.send(`GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:${target.port}\r\nX: `);
      upgrade.send(handshake(target.port).slice(0, -2));
      const timer = setInterval(() => {
        drip.send('x');
        body.send('x');
        chunked.send('1\r\nx\r\n');
      }, 500);
      await Promise.all([drip, upgrade, silent, body, chunked].map(({ closed }) => closed)).finally(() =>
        clearInterval(timer),
      );
      const tookMs = performance.now() - startMs;
      expect([drip.status, body.status, chunked.status]).toEqual([408, 400, 400]);
      expect(tookMs).toBeGreaterThan(8_000);
      expect(tookMs).toBeLessThan(20_000);
    },
    60_000,
  );

  attackOnce('E25', async () => {
    const offers = [
      'permessage-deflate',
      'permessage-deflate; client_max_window_bits; server_no_context_takeover',
      'x-webkit-deflate-frame',
      'permessage-bzip2, permessage-deflate',
    ];
    for (const offer of offers) {
      const wire = await Wire.open(target.port);
      open.push(wire);
      const headers = [`Authorization: Bearer ${TOKEN}`, `Sec-WebSocket-Extensions: ${offer}`];
      wire.send(handshake(target.port, { headers }));
      await wire.until(() => wire.heard.includes('\r\n\r\n'));
      expect(wire.status).toBe(101);
      expect(wire.heard.toString().toLowerCase()).not.toContain('sec-websocket-extensions');
      wire.heard = Buffer.alloc(0);
      // A compressed frame, as the first of its reserved bits says.
      wire.send(frame(Buffer.from('4bcc4b01', 'hex'), { reserved: 4 }));
      expect(await wire.closeCode()).toBe(1002);
    }
    // Nor are bodies unpacked.
    const { status } = await ask(target.port, '/tokens', {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'content-encoding': 'gzip' },
      body: '{"role":"agent","ttlMs":',
    });
    expect(status).toBe(400);
  });

  attackOnce('E26', async () => {
    const credential = `Authorization: Bearer ${TOKEN}`;
    const smuggled = `GET /metrics HTTP/1.1\r\nHost: 127.0.0.1:${target.port}\r\n${credential}\r\n\r\n`;
    const attempts: readonly (readonly [string, readonly string[], string])[] = [
      ['a body', ['Content-Length: 5'], 'hello'],
      ['a body of a request', [`Content-Length: ${smuggled.length}`], smuggled],
      ['chunks', ['Transfer-Encoding: chunked'], `0\r\n\r\n${smuggled}`],
      ['both lengths', ['Content-Length: 5', 'Transfer-Encoding: chunked'], `0\r\n\r\n${smuggled}`],
      ['a length that is none', ['Content-Length: 0x5'], 'hello'],
      ['two lengths', ['Content-Length: 0', 'Content-Length: 5'], 'hello'],
      ['a request in one piece with the handshake', [], smuggled],
      ['a frame in one piece with the handshake', [], frame(INFO).toString('latin1')],
    ];
    for (const [what, headers, behind] of attempts) {
      const wire = await Wire.open(target.port);
      open.push(wire);
      wire.send(Buffer.from(handshake(target.port, { headers: [credential, ...headers] }) + behind, 'latin1'));
      await wire.closed;
      expect(wire.status, what).toBe(400);
      // One reply, and it is the refusal.
      expect(wire.heard.toString().match(/HTTP\/1\.1/g), what).toHaveLength(1);
      expect(wire.heard.toString(), what).not.toContain('slotcast_');
    }
    // What is no WebSocket is not switched to, and what follows it is not run under another's credential.
    for (const name of ['h2c', 'TLS/1.0', 'websocket, h2c', '']) {
      const wire = await Wire.open(target.port);
      open.push(wire);
      wire.send(handshake(target.port, { headers: [credential] }).replace('Upgrade: websocket', `Upgrade: ${name}`));
      await wire.until(() => wire.heard.includes('\r\n\r\n'));
      expect(wire.status, name).not.toBe(101);
      wire.close();
    }
    // Requests one behind the other are each checked for themselves.
    const wire = await Wire.open(target.port);
    open.push(wire);
    const bare = `GET /casts HTTP/1.1\r\nHost: 127.0.0.1:${target.port}\r\n\r\n`;
    wire.send(
      `${smuggled}${bare}${bare.replace('127.0.0.1', 'evil.example').replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n')}`,
    );
    await wire.closed;
    expect([...wire.heard.toString().matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status)).toEqual([
      '200',
      '401',
      '403',
    ]);
  });
});

describe('E15', () => {
  attackOnce(
    'E15',
    async () => {
      const gateway = await startTarget(me);
      const idle: Wire[] = [];
      try {
        const slot = await gateway.slot();
        const openSome = async (count: number, from: string): Promise<void> => {
          for (let done = 0; done < count; done += 100) {
            idle.push(...(await Promise.all(Array.from({ length: 100 }, () => Wire.open(gateway.port, from)))));
          }
        };
        await openSome(2000, '127.0.0.2');
        const startMs = performance.now();
        expect((await slot.exec.run({ command: 'echo works' })).stdout).toBe('works\n');
        expect(performance.now() - startMs).toBeLessThan(5_000);
        // More than are allowed: who stood there longest without a word makes room for who comes.
        await openSome(6500, '127.0.0.3');
        expect((await ask(gateway.port, '/session')).status).toBe(200);
        const late = await gateway.slot();
        expect((await late.exec.run({ command: 'echo late' })).stdout).toBe('late\n');
        await until('the oldest one is gone', () => idle[0]?.socket.destroyed === true);
        expect((await slot.exec.run({ command: 'echo works' })).stdout).toBe('works\n');
        expect(gateway.memory()).toBeLessThan(600 * MIB);
      } finally {
        for (const wire of idle) wire.close();
        await gateway.close();
      }
    },
    90_000,
  );
});
