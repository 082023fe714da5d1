import { spawn } from 'node:child_process';
import { expect, test } from 'vitest';
import { endOrphans, launchEnv, markChildren } from '../../../../server/keeper/sandbox/orphan.ts';

function sleeper(dataDir: string) {
  markChildren(dataDir);
  const child = spawn('sleep', ['60'], { env: launchEnv('/usr/bin:/bin'), stdio: 'ignore' });
  delete process.env['SLOTCAST_KEEPER'];
  return { child, ended: new Promise((resolve) => child.once('exit', (_code, signal) => resolve(signal))) };
}

test('what a keeper of the same data directory has left is ended, and nothing else', async () => {
  const [left, other] = [sleeper('/somewhere/one'), sleeper('/somewhere/other')];
  await Promise.all([left, other].map(({ child }) => new Promise((resolve) => child.once('spawn', resolve))));
  await endOrphans('/somewhere/one');
  expect(await left.ended).toBe('SIGKILL');
  expect(other.child.exitCode ?? other.child.signalCode).toBeNull();
  await endOrphans('/somewhere/other');
  expect(await other.ended).toBe('SIGKILL');
});
