// A slot's place on this host for tests of the keeper, and commands run in it. Removed by whoever made it.
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { KeptProcess, ProcessEnd, ProcessOrder, SlotPlace } from '../../../server/keeper/keeper.ts';
import { preparePlace } from '../../../server/keeper/place.ts';
import { startProcess } from '../../../server/keeper/process.ts';
import { startSandbox } from '../../../server/keeper/sandbox/launch.ts';
import { DEFAULT_POLICY, type Policy } from '../../../server/keeper/sandbox/policy.ts';

export interface Home {
  readonly dataDir: string;
  readonly place: SlotPlace;
  remove(): Promise<void>;
}

/** Its own user id, so that no other test's processes are counted or hit. */
export async function makeHome(): Promise<Home> {
  const dataDir = await mkdtemp(join(tmpdir(), 'slotcast-test-'));
  await chmod(dataDir, 0o711);
  const uidBase = 300_000 + process.pid * 16;
  const place = await preparePlace({ dataDir, slot: 'slot_0', index: 0, uidBase });
  return { dataDir, place, remove: () => rm(dataDir, { recursive: true, force: true }) };
}

export interface Ran extends ProcessEnd {
  readonly stdout: string;
  readonly stderr: string;
  readonly process: KeptProcess;
}

type Asked = Partial<ProcessOrder> & { readonly policy?: Policy };

export function order(run: string | readonly string[], more: Partial<ProcessOrder> = {}): ProcessOrder {
  return {
    run: typeof run === 'string' ? { command: run } : { argv: run },
    cwd: '/workspace',
    env: {},
    input: null,
    stdin: 'closed',
    timeoutMs: 20_000,
    idleTimeoutMs: 0,
    maxOutputBytes: 1024 * 1024,
    ...more,
  };
}

export async function begin(
  place: SlotPlace,
  run: string | readonly string[],
  asked: Asked = {},
): Promise<KeptProcess> {
  const { policy = DEFAULT_POLICY, ...more } = asked;
  return await startProcess({ sandbox: startSandbox({ policy, place, network: 'none' }), order: order(run, more) });
}

/** To the end, with its output as text. */
export async function run(place: SlotPlace, command: string | readonly string[], asked: Asked = {}): Promise<Ran> {
  const process = await begin(place, command, asked);
  const end = await process.ended;
  return { ...end, stdout: text(process, 'stdout'), stderr: text(process, 'stderr'), process };
}

export function text(process: KeptProcess, stream: 'stdout' | 'stderr'): string {
  const { head, tail } = process.output(stream);
  return Buffer.concat([head, tail]).toString('utf8');
}

/** Looks again and again until it is so; fails after ten seconds. */
export async function until(check: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!(await check())) {
    if (performance.now() > deadline) throw new Error('it never came to be');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
