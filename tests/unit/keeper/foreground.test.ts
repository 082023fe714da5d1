import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { hasGroup } from '../../../server/keeper/foreground.ts';

test('a group that has died out is not there any more, whoever gets its number', async () => {
  // Detached: leader of a session and a group of its own, both named by its pid.
  const child = spawn('sleep', ['1000'], { detached: true, stdio: 'ignore' });
  const pid = child.pid ?? 0;
  expect(hasGroup(pid, pid)).toBe(true);
  // A group of that number in another session is somebody else's.
  expect(hasGroup(process.pid, pid)).toBe(false);
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
  expect(hasGroup(pid, pid)).toBe(false);
});
