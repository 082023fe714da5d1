// Runs the built program in this same process, so that its signals and exit code are the program's own.

import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { root } from './setup.mjs';

/** `slotcast ARGS…`, as if it had been started directly. */
export async function runProgram(args) {
  const program = join(root, 'dist', 'cli', 'main.js');
  process.argv = [process.execPath, program, ...args];
  await import(pathToFileURL(program).href);
}
