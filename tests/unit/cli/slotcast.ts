// The built program as a user runs it, in a process of its own, against a real gateway. `npm test` builds it first.
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import type { TestGateway } from '../../support/gateway.ts';

export const PROGRAM = new URL('../../../dist/cli/main.js', import.meta.url).pathname;

export interface Run {
  readonly child: ChildProcessWithoutNullStreams;
  /** What it has printed so far. */
  readonly seen: { stdout: Buffer; stderr: string };
  readonly exitCode: Promise<number | null>;
}

/** Nothing of the caller's environment, so that no other gateway is found. */
export const environmentOf = (gateway: TestGateway | null): Record<string, string> => ({
  PATH: process.env['PATH'] ?? '',
  HOME: '/nonexistent',
  TERM: 'xterm-256color',
  SLOTCAST_DATA_DIR: gateway?.dataDir ?? '/nonexistent/slotcast',
  ...(gateway === null ? {} : { SLOTCAST_URL: gateway.url }),
});

export function slotcast(gateway: TestGateway | null, ...args: string[]): Run {
  const child = spawn(process.execPath, [PROGRAM, ...args], { env: environmentOf(gateway) });
  const seen = { stdout: Buffer.alloc(0), stderr: '' };
  child.stdout.on('data', (data: Buffer) => {
    seen.stdout = Buffer.concat([seen.stdout, data]);
  });
  child.stderr.on('data', (data) => {
    seen.stderr += data;
  });
  // It may end before it has read everything.
  child.stdin.on('error', () => {});
  return { child, seen, exitCode: new Promise((resolve) => child.on('close', resolve)) };
}
