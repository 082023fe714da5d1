// Takes the place of the gateway that runs on a data directory: asks it to go and to leave its slots alive, and waits until it has gone.
import { setTimeout as delay } from 'node:timers/promises';
import { ClaimError, gatewayOf } from './claim.ts';

/** It says goodbye to its connections within seconds. */
const WAIT_MS = 30_000;
/** Between two looks. */
const LOOK_MS = 10;

/** Resolves at once when none runs there. Throws ClaimError when it does not go. */
export async function replaceGateway(dataDir: string): Promise<void> {
  const pid = gatewayOf(dataDir);
  if (pid === null) return;
  try {
    process.kill(pid, 'SIGHUP');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ESRCH') throw new ClaimError(`the gateway of ${dataDir} (process ${pid}) belongs to another user.`);
  }
  for (const endMs = performance.now() + WAIT_MS; gatewayOf(dataDir) === pid; ) {
    if (performance.now() > endMs) {
      throw new ClaimError(
        `the gateway of ${dataDir} (process ${pid}) did not go within ${WAIT_MS / 1000} s. End it by kill -9 ${pid}: its slots live on.`,
      );
    }
    await delay(LOOK_MS);
  }
}
