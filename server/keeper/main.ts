// The keeper's own program: owns what runs in the slots of one data directory and outlives the gateways that drive it. Started by the gateway
// alone. It opens no socket but the one in the data directory, for its own user.
import { closeSync, constants, openSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { KeeperHost } from './link/host.ts';
import { pidFile, socketFile } from './link/reach.ts';
import { takePidFile } from './pid-file.ts';
import { closeInheritedDescriptors } from './sandbox/descriptor.ts';
import { endOrphans, markChildren } from './sandbox/orphan.ts';
import { beThrifty } from './thrift.ts';

/** What was said last still leaves. */
const GOODBYE_MS = 200;

closeInheritedDescriptors();
const dataDir = process.argv[2] ?? '';
const claim = takePidFile(join(dataDir, pidFile));
if (claim === null) throw new Error(`another keeper has ${dataDir}`);
await endOrphans(dataDir);
markChildren(dataDir);

const host = new KeeperHost({ dataDir, version: process.argv[3] ?? '', closed: leave });
const server = createServer(host.connect);
rmSync(join(dataDir, socketFile), { force: true });
// The path of a socket has at most 107 bytes; that of a data directory may have more.
const directory = openSync(dataDir, constants.O_RDONLY | constants.O_DIRECTORY);
// The socket is made within the call; what runs in the slots must not have this mask.
const mask = process.umask(0o177);
server.listen(`/proc/self/fd/${directory}/${socketFile}`, () => {
  closeSync(directory);
  process.stdout.write('ready\n');
});
process.umask(mask);

// A process that is forked for each command has to stay small.
beThrifty({ whenBusy: true });
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void host.close());
// It has no terminal, and what its gateway makes of this signal is not its business.
process.on('SIGHUP', () => {});
// A defect in one call must not end every slot; it is told, to the gateway and here.
for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
  process.on(event, (error) => {
    const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
    console.error(`${new Date().toISOString()} ${event}: ${detail}`);
    host.say({ message: event, detail });
  });
}

function leave(): void {
  server.close();
  rmSync(join(dataDir, socketFile), { force: true });
  claim?.close();
  setTimeout(() => process.exit(0), GOODBYE_MS);
}
