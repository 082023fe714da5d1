// Takes the place of the gateway that runs on a data directory: asks it to go and to leave its slots alive, and waits until it has gone. What
// would keep the new one from serving is found out before, as far as it can be.
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { ClaimError, gatewayOf } from './claim.ts';

/** It says goodbye to its connections within seconds. */
const WAIT_MS = 30_000;
/** Between two looks. */
const LOOK_MS = 10;

/** What the new gateway is to be. */
export interface Successor {
  readonly dataDir: string;
  readonly host: string;
  readonly port: number;
  readonly mounts: readonly { readonly source: string }[];
}

/**
 * Resolves at once when none runs there. Throws ClaimError when it does not go; and the same, or what listening throws, when the new one could not
 * serve: then nobody was asked to go.
 */
export async function replaceGateway({ dataDir, host, port, mounts }: Successor): Promise<void> {
  const pid = gatewayOf(dataDir);
  if (pid === null) return;
  const lacking = mounts.find(({ source }) => !existsSync(source));
  if (lacking !== undefined) throw new ClaimError(`--mount ${lacking.source}: there is no such file or directory`);
  await checkAddress({ host, port }, pid);
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

/** Throws what listening there throws, unless it is the one that is to go who listens there. */
async function checkAddress({ host, port }: Pick<Successor, 'host' | 'port'>, pid: number): Promise<void> {
  const server = createServer();
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, host, resolve);
    });
    await new Promise((resolve) => server.close(resolve));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE' || !listensAt(pid, port)) throw error;
  }
}

/** State of a TCP socket in /proc/net/tcp. */
const LISTENING = '0A';

/** Whether the process listens at that port, of whatever address; true also for one of another user, which can't be asked. */
function listensAt(pid: number, port: number): boolean {
  const own = socketsOf(pid);
  if (own === null) return true;
  return ['tcp', 'tcp6'].flatMap(linesOf).some((line) => {
    // No., address:port, the other end, state, six more, inode.
    const [, local = '', , state, , , , , , inode] = line.trim().split(/\s+/);
    return (
      state === LISTENING && Number.parseInt(local.split(':').at(-1) ?? '', 16) === port && own.has(`socket:[${inode}]`)
    );
  });
}

function linesOf(table: string): string[] {
  try {
    return readFileSync(`/proc/self/net/${table}`, 'utf8').split('\n').slice(1);
  } catch {
    // No IPv6 here.
    return [];
  }
}

function socketsOf(pid: number): ReadonlySet<string> | null {
  const descriptors = `/proc/${pid}/fd`;
  try {
    return new Set(readdirSync(descriptors).map((name) => linkOf(`${descriptors}/${name}`)));
  } catch {
    return null;
  }
}

/** Empty for one that has been closed since. */
function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}
