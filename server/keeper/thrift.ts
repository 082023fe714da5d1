// Keeps the heap small, and gives memory back soon after a busy moment: Node by itself collects garbage only when it needs the room, and lets a busy
// heap grow to a multiple of what is alive in it.
import { performance } from 'node:perf_hooks';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Between two looks. */
const LOOK_MS = 2_000;
/** So much more than after the last collection is worth another one, and so is another one when the last gave back that much. */
const WORTH_BYTES = 4 * 1024 * 1024;
/** A process that was busy for less of the time since the last look has nothing to do. */
const QUIET = 0.05;

export interface Thrift {
  /** false: only in quiet moments, since a large heap takes a while to collect, and nobody is to wait for it. */
  readonly whenBusy: boolean;
}

export function beThrifty({ whenBusy }: Thrift): { close(): void } {
  // Set now, it changes by how much the heap grows between two collections, and leaves the young generation as it is.
  setFlagsFromString('--optimize-for-size');
  const collect = collector();
  let leftBytes = 0;
  let gaveBackBytes = 0;
  let last = performance.eventLoopUtilization();
  const look = (): void => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, last);
    last = now;
    const before = inUse();
    if (before < leftBytes + WORTH_BYTES && gaveBackBytes < WORTH_BYTES) return;
    if (!whenBusy && utilization > QUIET) return;
    collect();
    leftBytes = inUse();
    gaveBackBytes = before - leftBytes;
  };
  const timer = setInterval(look, LOOK_MS);
  timer.unref();
  return { close: () => clearInterval(timer) };
}

function inUse(): number {
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** Node's own under --expose-gc; without, it costs a context of its own. */
function collector(): () => void {
  if (globalThis.gc) return globalThis.gc;
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc');
}
