// The program itself for a test: `slotcast serve` of dist/ in a process of its own, on a data directory that is gone afterwards.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Client, connect } from '../../client/index.ts';
import { endKeeper } from './keeper.ts';
import { needs, remote } from './remote.ts';

export const programFile = new URL('../../dist/cli/main.js', import.meta.url).pathname;

export interface Program {
  readonly child: ChildProcess;
  readonly url: string;
  readonly token: string;
  readonly dataDir: string;
  readonly seen: { stdout: string; stderr: string };
  /** Its exit code; null when a signal ended it. */
  readonly ended: Promise<number | null>;
  /** A connection that does not come back when it is lost. */
  client(): Promise<Client>;
  /** Ends it if it lives, and its keeper; removes the data directory. */
  close(): Promise<void>;
}

export interface ProgramOptions {
  readonly flags?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Called with the data directory before the program starts. */
  readonly before?: (dataDir: string) => Promise<void>;
}

export async function startProgram({ flags = [], env = {}, before }: ProgramOptions = {}): Promise<Program> {
  if (remote !== null) return needs('a gateway of its own');
  const dataDir = mkdtempSync(join(tmpdir(), 'slotcast-program-'));
  await before?.(dataDir);
  const serve = ['serve', '--port', '0', '--slots', '2', '--data-dir', dataDir, ...flags];
  const child = spawn(process.execPath, [programFile, ...serve], {
    env: { PATH: process.env['PATH'], TMPDIR: tmpdir(), HOME: dataDir, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const seen = { stdout: '', stderr: '' };
  child.stderr.on('data', (data) => (seen.stderr += data));
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
  const clients: Client[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(clients.splice(0).map((client) => client.close()));
    child.kill('SIGKILL');
    await ended;
    await endKeeper(dataDir);
    rmSync(dataDir, { recursive: true, force: true });
  };
  try {
    const url = await new Promise<string>((resolve, reject) => {
      child.stdout.on('data', (data) => {
        seen.stdout += data;
        const [found] = /http:\/\/127\.0\.0\.1:\d+(?=\/\n)/.exec(seen.stdout) ?? [];
        if (found !== undefined) resolve(found);
      });
      void ended.then(() => reject(new Error(`the gateway ended: ${seen.stderr}`)));
    });
    const token = readFileSync(join(dataDir, 'token'), 'utf8').trim();
    const client = async (): Promise<Client> => {
      const made = await connect({ url, token, reconnect: false, validate: true });
      clients.push(made);
      return made;
    };
    return { child, url, token, dataDir, seen, ended, client, close };
  } catch (error) {
    await close();
    throw error;
  }
}
