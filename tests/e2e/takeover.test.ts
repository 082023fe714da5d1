// Taking a slot over and giving it back: a person drives for a while, and the agent goes on by itself. Viewers never drive.
import { afterEach, beforeEach, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import type { Client } from '../../client/index.ts';
import { type MethodName, methods } from '../../protocol/contract.ts';
import { startGateway, type TestGateway, until } from '../support/gateway.ts';

let gateway: TestGateway;
beforeEach(async () => {
  // Also how long who took a slot over may be away.
  gateway = await startGateway('--slots', '2', '--grace-ms', '400');
});
afterEach(() => gateway?.close());

const next = <T>(client: Client, name: Parameters<Client['on']>[0]): Promise<T> =>
  new Promise((resolve) => client.on(name, (value) => resolve(value as T)));

const takenOver = { fault: 'SLOT_BUSY', data: { retry: 'after', takenOver: true } };

test('after a give-back the agent goes on by itself, with what ran and what it called meanwhile', async () => {
  const agent = await gateway.client();
  const slot = await agent.acquire({ label: 'agent' });
  await slot.terminal.run({ command: 'x=kept' });
  const command = 'echo begun; until test -e /tmp/go; do sleep 0.02; done; echo ended';
  const running = await slot.exec.start({ command });
  const inTerminal = slot.terminal.run({ command: 'until test -e /tmp/go; do sleep 0.02; done; echo $x' });
  await until('both', async () => (await slot.info()).running !== null && running.waitingChars > 0);
  const taken = next(agent, 'takenOver');
  const back = next(agent, 'givenBack');
  const lost: unknown[] = [];
  agent.on('lost', (event) => lost.push(event));

  const person = await gateway.client();
  const driven = await person.takeover({ slot: slot.name });
  expect(await taken).toEqual({ slot: slot.name });
  expect(await driven.info()).toMatchObject({ takenOver: true, connected: true, label: 'agent', processes: 1 });
  const meanwhile = slot.exec.run({ command: 'cat note' });
  const typed = await driven.watch();
  await driven.file.write({ path: 'note', data: 'typed by a person' });
  await driven.exec.run({ command: 'touch /tmp/go' });
  await driven.terminal.wait({ prompt: true, timeoutMs: 10_000 });
  await driven.terminal.write('echo by ha""nd\r');
  await driven.terminal.wait({ text: 'by hand', timeoutMs: 10_000 });
  await typed.close();
  await driven.giveBack();

  expect(await back).toEqual({ slot: slot.name });
  expect(await meanwhile).toMatchObject({ outcome: 'exited', stdout: 'typed by a person' });
  expect((await inTerminal).output).toBe('kept\n');
  let output = '';
  for await (const { data } of running) output += data;
  expect(output).toBe('begun\nended\n');
  expect(await running.exit).toMatchObject({ outcome: 'exited', exitCode: 0 });
  expect((await slot.terminal.run({ command: 'echo $x' })).output).toBe('kept\n');
  expect(await slot.info()).toMatchObject({ takenOver: false, connected: true });
  expect(lost).toEqual([]);
  const { markers } = await agent.cast.info(slot.cast);
  expect(markers.map(({ label }) => label).filter((label) => /^(taken over|given back)$/.test(label))).toEqual([
    'taken over',
    'given back',
  ]);
});

test('who has given a slot back drives nothing, hears nothing of it, and may drive another', async () => {
  const agent = await gateway.client();
  const slot = await agent.acquire({ graceMs: 60_000 });
  const person = await gateway.client();
  const driven = await person.takeover({ slot: slot.name });
  const { resume } = driven;
  const ticking = 'while :; do echo tick; sleep 0.02; done';
  const { id } = await driven.exec.start({ command: ticking });
  await driven.giveBack();
  await expect(driven.exec.run({ command: 'true' })).rejects.toMatchObject({ fault: 'LEASE_LOST' });
  await expect(person.call('exec.run', { command: 'true' })).rejects.toMatchObject({ fault: 'NOT_BOUND' });
  await expect(person.call('slot.giveback', {})).rejects.toMatchObject({ fault: 'NOT_BOUND' });
  await expect(person.call('slot.acquire', { resume })).rejects.toMatchObject({ fault: 'RESUME_GONE' });
  let heard = 0;
  person.on('exec.output', () => heard++);
  let ticks = 0;
  for await (const _ of slot.exec.process(id)) if (++ticks === 5) break;
  expect(heard).toBe(0);
  const other = await person.acquire();
  expect((await other.exec.run({ command: 'echo mine' })).stdout).toBe('mine\n');
});

test('only what was taken over can be given back', async () => {
  const agent = await gateway.client();
  const slot = await agent.acquire();
  await expect(slot.giveBack()).rejects.toMatchObject({ fault: 'INVALID_REQUEST' });
  expect((await slot.exec.run({ command: 'echo still mine' })).stdout).toBe('still mine\n');
});

test('behind a tab that was closed the owner gets the slot back by itself', async () => {
  const agent = await gateway.client();
  const slot = await agent.acquire({ graceMs: 60_000 });
  const back = next(agent, 'givenBack');
  const person = await gateway.client();
  const { graceMs, resume } = await person.call('slot.takeover', { slot: slot.name });
  expect(graceMs).toBe(400);
  const meanwhile = slot.exec.run({ command: 'echo by the agent' });
  await person.close();
  expect(await back).toEqual({ slot: slot.name });
  expect((await meanwhile).stdout).toBe('by the agent\n');
  const again = await gateway.client();
  await expect(again.call('slot.acquire', { resume })).rejects.toMatchObject({ fault: 'RESUME_GONE' });
});

test('who took over and comes back in time drives on', async () => {
  const patient = await startGateway('--slots', '1');
  try {
    const agent = await patient.client();
    const { slot, resume: own } = await agent.call('slot.acquire', {});
    const tab = await patient.client();
    const { resume, graceMs } = await tab.call('slot.takeover', { slot });
    expect(graceMs).toBe(10_000);
    await tab.close();
    const reloaded = await patient.client();
    expect(await reloaded.call('slot.acquire', { resume })).toMatchObject({ slot, resumed: true });
    expect(await reloaded.call('slot.info', {})).toMatchObject({ takenOver: true, connected: true });
    const third = await patient.client();
    await expect(third.call('slot.acquire', { resume: own })).rejects.toMatchObject(takenOver);
    await reloaded.call('slot.giveback', {});
  } finally {
    await patient.close();
  }
});

test('the grace time does not run while the slot is taken over, and anew from the give-back on', async () => {
  const agent = await gateway.client();
  const { slot, resume } = await agent.call('slot.acquire', { graceMs: 200 });
  await agent.close();
  const person = await gateway.client();
  const watcher = await gateway.client();
  await person.call('slot.takeover', { slot });
  // Longer than the grace time.
  await person.call('exec.run', { command: 'sleep 0.5' });
  expect(await watcher.call('slot.info', { slot })).toMatchObject({ state: 'leased', takenOver: true });
  await person.call('slot.giveback', {});
  await until('free', async () => (await watcher.call('slot.info', { slot })).state === 'free');
  await expect(watcher.call('slot.acquire', { resume })).rejects.toMatchObject({ fault: 'RESUME_GONE' });
});

test('an owner who waits gets the slot back, however short the grace time is', async () => {
  const agent = await gateway.client();
  const slot = await agent.acquire({ graceMs: 1 });
  const person = await gateway.client();
  const connected = next(agent, 'connected');
  const driven = await person.takeover({ slot: slot.name });
  await connected;
  const meanwhile = slot.exec.run({ command: 'echo still here' });
  await driven.giveBack();
  expect((await meanwhile).stdout).toBe('still here\n');
});

test('a lease that is released while it is taken over is over for its owner too', async () => {
  const agent = await gateway.client();
  const slot = await agent.acquire();
  const lost = next(agent, 'lost');
  const person = await gateway.client();
  const driven = await person.takeover({ slot: slot.name });
  const meanwhile = slot.exec.run({ command: 'true' });
  await driven.release();
  expect(await lost).toMatchObject({ slot: slot.name, fault: { fault: 'RESUME_GONE' } });
  await expect(meanwhile).rejects.toMatchObject({ fault: 'RESUME_GONE' });
  expect(await person.call('slot.info', { slot: slot.name })).toMatchObject({ state: 'free', takenOver: false });
});

test('when a second person takes over, the first has lost it, and the give-back goes to the owner', async () => {
  const agent = await gateway.client();
  const slot = await agent.acquire();
  const first = await gateway.client();
  const firstSlot = await first.takeover({ slot: slot.name });
  const firstClosed = next<{ code: number }>(first, 'disconnected');
  const firstLost = next(first, 'lost');
  const second = await gateway.client();
  const secondSlot = await second.takeover({ slot: slot.name });
  expect((await firstClosed).code).toBe(4409);
  expect(await firstLost).toMatchObject({ slot: slot.name, fault: { fault: 'RESUME_GONE' } });
  await expect(firstSlot.exec.run({ command: 'true' })).rejects.toMatchObject({ fault: 'RESUME_GONE' });
  await expect(first.call('slot.acquire', { resume: slot.resume })).rejects.toMatchObject(takenOver);
  const meanwhile = slot.exec.run({ command: 'echo the owner' });
  await secondSlot.giveBack();
  expect((await meanwhile).stdout).toBe('the owner\n');
});

test('the end of a command that only who took over was told of is told to its owner afterwards', async () => {
  const bare = await open(gateway.token);
  const { result } = await bare.ask('slot.acquire', { graceMs: 60_000 });
  const { slot, resume } = result as { slot: string; resume: string };
  const begun = await bare.ask('exec.start', { command: 'until test -e /tmp/go; do sleep 0.02; done; exit 3' });
  const { process } = begun.result as { process: string };
  const person = await gateway.client();
  const told = next(person, 'exec.exit');
  const driven = await person.takeover({ slot });
  await driven.exec.run({ command: 'touch /tmp/go' });
  expect(await told).toMatchObject({ process, exitCode: 3 });
  await driven.giveBack();
  const again = await gateway.client();
  const toldAgain = next(again, 'exec.exit');
  await again.call('slot.acquire', { resume });
  expect(await toldAgain).toMatchObject({ process, exitCode: 3 });
});

test('slots.changed tells of the take-over and of the give-back', async () => {
  const watcher = await gateway.client();
  const states: boolean[] = [];
  watcher.on('slots.changed', ({ slots }) => states.push(...slots.map(({ takenOver }) => takenOver)));
  await watcher.call('watch.slots', { on: true });
  const agent = await gateway.client();
  const { slot } = await agent.call('slot.acquire', {});
  const person = await gateway.client();
  await person.call('slot.takeover', { slot });
  await until('the take-over', () => states.at(-1) === true);
  await person.call('slot.giveback', {});
  await until('the give-back', () => states.at(-1) === false);
});

test('a viewer is refused whatever drives, by whatever client', async () => {
  const agent = await gateway.client();
  const slot = await agent.acquire({ label: 'agent' });
  const drives = (Object.keys(methods) as MethodName[]).filter((name) => methods[name].role !== 'viewer');
  expect(drives).toEqual(expect.arrayContaining(['slot.takeover', 'slot.giveback', 'terminal.write', 'terminal.keys']));
  for (const only of [undefined, slot.name]) {
    const token = await gateway.mint({ role: 'viewer', ttlMs: 60_000, ...(only === undefined ? {} : { slot: only }) });
    const viewer = await open(token);
    for (const method of drives) {
      const params = { slot: slot.name, label: 'agent', resume: slot.resume, data: 'rm -rf .\r', keys: ['Enter'] };
      expect((await viewer.ask(method, params)).error?.data.name, method).toBe('FORBIDDEN');
    }
    viewer.socket.terminate();
    await expect(open(token, `?slot=${slot.name}`)).rejects.toThrow('403');
  }
  expect(await slot.info()).toMatchObject({ takenOver: false, connected: true, terminal: null });
});

interface Reply {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: { readonly data: { readonly name: string } };
}

/** A client made by hand, which sends what it likes. */
async function open(token: string, query = '') {
  const socket = new WebSocket(`${gateway.url.replace('http', 'ws')}/ws${query}`, 'slotcast.v1', {
    headers: { authorization: `Bearer ${token}` },
  });
  await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
  let last = 0;
  const ask = (method: string, params: object): Promise<Reply> => {
    const id = ++last;
    socket.send(JSON.stringify({ jsonrpc: '2.0', id, method, params }));
    return new Promise((resolve) => {
      const read = (data: unknown): void => {
        const reply = JSON.parse(String(data)) as Reply;
        if (reply.id !== id) return;
        socket.off('message', read);
        resolve(reply);
      };
      socket.on('message', read);
    });
  };
  return { socket, ask };
}
