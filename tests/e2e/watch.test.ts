import { Terminal } from '@xterm/headless';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Client } from '../../client/index.ts';
import type { Frame } from '../../protocol/frame.ts';
import { startGateway, type TestGateway, until } from '../support/gateway.ts';

let gateway: TestGateway;
let agent: Client;
beforeEach(async () => {
  gateway = await startGateway('--slots', '1');
  agent = await gateway.client();
  await agent.call('slot.acquire', { label: 'watched' });
});
afterEach(() => gateway?.close());

/** A viewer that redraws what it gets on a terminal of its own and checks the numbering. */
async function viewer(since?: { seq: number; cast: string }) {
  const client = await gateway.client();
  const frames: Frame[] = [];
  const held: { watch: string; seq: number; frames: Frame[] }[] = [];
  let next = 0;
  let resyncs = 0;
  let ended: string | null = null;
  let terminal = new Terminal({ cols: 120, rows: 40, allowProposedApi: true });
  const take = (part: { seq: number; frames: Frame[] }): void => {
    expect(part.seq).toBe(next);
    next += part.frames.length;
    frames.push(...part.frames);
    for (const [, code, data] of part.frames) {
      if (code === 'o') terminal.write(data);
      if (code === 'r') terminal.resize(...(data.split('x').map(Number) as [number, number]));
    }
  };
  client.on('watch.frames', (part) => (next === 0 ? held.push(part) : take(part)));
  client.on('watch.resync', (fresh) => {
    resyncs++;
    next = fresh.seq + 1;
    terminal = new Terminal({ cols: fresh.cols, rows: fresh.rows, allowProposedApi: true });
    terminal.write(fresh.screen);
  });
  client.on('watch.end', ({ reason }) => {
    ended = reason;
  });
  const started = await client.call('watch.start', {
    slot: 'slot_0',
    ...(since && { since: since.seq, cast: since.cast }),
  });
  terminal.resize(started.cols, started.rows);
  terminal.write(started.screen);
  next = started.seq + 1;
  for (const part of held.splice(0)) take(part);
  return {
    client,
    started,
    frames,
    last: () => next - 1,
    resyncs: () => resyncs,
    ended: () => ended,
    text: async () => {
      await new Promise<void>((resolve) => terminal.write('', resolve));
      const { active } = terminal.buffer;
      return Array.from(
        { length: terminal.rows },
        (_, y) => active.getLine(active.baseY + y)?.translateToString(true) ?? '',
      )
        .join('\n')
        .trimEnd();
    },
  };
}

const capture = async () => (await agent.call('terminal.capture', {})).text.trimEnd();

test('a viewer sees every frame in order and the same screen as the server', async () => {
  const person = await viewer();
  await agent.call('terminal.run', { command: 'seq 500; printf "\\e[31mred\\e[0m äö 漢字\\n"' });
  await until('the output', () => person.frames.some(([, , data]) => data.includes('漢字')));
  await until('the same screen', async () => (await person.text()) === (await capture()));
});

test('a viewer who joins in the middle of vim sees what the server sees', async () => {
  await agent.call('terminal.keys', {
    keys: ['vim -u NONE -N poem', 'Enter', 'i', 'roses are red', 'Enter', 'violets', 'Escape'],
  });
  await agent.call('terminal.wait', { text: 'violets', timeoutMs: 5000 });
  await agent.call('terminal.wait', { idleMs: 200, timeoutMs: 5000 });
  const late = await viewer();
  expect(late.started.seq).toBeGreaterThan(0);
  expect(await late.text()).toBe(await capture());
  await agent.call('terminal.keys', { keys: ['o', 'sugar', 'Escape'] });
  await agent.call('terminal.wait', { text: 'sugar', timeoutMs: 5000 });
  await until('the same screen', async () => (await late.text()) === (await capture()));
});

test('a viewer that reconnects with since gets exactly what it missed', async () => {
  const before = await viewer();
  await agent.call('terminal.run', { command: 'echo one' });
  await until('one', () => before.frames.some(([, , data]) => data.includes('one')));
  const seq = before.last();
  await before.client.close();
  await agent.call('terminal.run', { command: 'echo missed' });
  const again = await viewer({ seq, cast: before.started.cast ?? '' });
  expect(again.started).toMatchObject({ seq, screen: '' });
  expect(again.started.gap).toBeUndefined();
  await until('missed', () => again.frames.some(([, , data]) => data.includes('missed')));
});

test('frames that are gone come as a gap with a fresh screen', async () => {
  const before = await viewer();
  await agent.call('terminal.run', { command: 'echo start' });
  await until('start', () => before.last() > 3);
  const seq = before.last();
  await before.client.close();
  await agent.call('terminal.run', { command: 'head -c 6000000 /dev/zero | tr "\\0" x | fold -w 100; echo the end' });
  const again = await viewer({ seq, cast: before.started.cast ?? '' });
  expect(again.started.gap).toMatchObject({ from: seq + 1 });
  await until('the same screen', async () => (await again.text()) === (await capture()));
});

test('markers, resizes and the end of the shell are frames', async () => {
  const person = await viewer();
  await agent.call('exec.run', { command: 'echo hidden; exit 3' });
  await agent.call('terminal.run', { command: 'echo shown' });
  await agent.call('terminal.resize', { cols: 90, rows: 30 });
  await agent.call('terminal.run', { command: 'exit 5' });
  await until('the exit', () => person.frames.some(([, code, data]) => code === 'x' && data === '5'));
  const markers = person.frames.filter(([, code]) => code === 'm').map(([, , data]) => data);
  expect(markers).toEqual(
    expect.arrayContaining([expect.stringContaining('echo hidden; exit 3'), expect.stringContaining('exited 3')]),
  );
  expect(person.frames.filter(([, code]) => code === 'r').map(([, , data]) => data)).toContain('90x30');
});

test('a viewer that does not read is caught up with a fresh screen and harms nobody', async () => {
  const { WebSocket } = await import('ws');
  const stuck = new WebSocket(`${gateway.url.replace('http', 'ws')}/ws`, 'slotcast.v1', {
    headers: { authorization: `Bearer ${gateway.token}` },
  });
  await new Promise((resolve) => stuck.once('open', resolve));
  stuck.send(JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'watch.start', params: { slot: 'slot_0' } }));
  await new Promise((resolve) => stuck.once('message', resolve));
  const kinds: string[] = [];
  stuck.on('message', (data) => kinds.push((JSON.parse(String(data)) as { method: string }).method));
  stuck.pause();
  const healthy = await viewer();
  const result = await agent.call('terminal.run', {
    command: 'seq 1 2000000 | tail -c 14000000; echo flood over',
    timeoutMs: 120_000,
  });
  expect(result.outcome).toBe('exited');
  await until('the end at the healthy viewer', async () => (await healthy.text()).includes('flood over'), 60_000);
  stuck.resume();
  await until('the resync', () => kinds.includes('watch.resync'), 30_000);
  stuck.terminate();
}, 120_000);

test('the end of the lease ends the watch', async () => {
  const person = await viewer();
  await agent.call('slot.release', {});
  await until('the end', () => person.ended() === 'released');
});

test('UTF-8 split over reads and binary output arrive as valid text', async () => {
  const person = await viewer();
  await agent.call('terminal.run', {
    command:
      "printf '\\xe6'; sleep 0.05; printf '\\xbc'; sleep 0.05; printf '\\xa2\\n'; printf '\\xff\\xfe\\n'; echo fin",
  });
  await until('fin', () => person.frames.some(([, , data]) => data.includes('fin')));
  const text = person.frames
    .filter(([, code]) => code === 'o')
    .map(([, , data]) => data)
    .join('');
  expect(text).toContain('漢');
  expect(text).toContain('\ufffd\ufffd');
});

test('no viewer gets a sequence that sets the clipboard, the recording keeps it', async () => {
  const person = await viewer();
  await agent.call('terminal.run', { command: "printf 'a\\e]52;c;aGk=\\ab\\n'; echo fin" });
  await until('fin', () => person.frames.some(([, , data]) => data.includes('fin')));
  const text = person.frames.map(([, , data]) => data).join('');
  expect(text).toContain('ab\r\n');
  expect(text).not.toContain('\x1b]52');
});
