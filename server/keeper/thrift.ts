// Gives memory back soon after a busy moment: a process that is forked for each command has to stay small, and Node by itself collects garbage
// only when it needs the room.

/** Between two looks. A collection of what a keeper has takes some 10 ms, and there is one only after so much was made. */
const LOOK_MS = 2_000;
/** So much more than after the last collection is worth another one, and so is another one when the last gave back that much. */
const WORTH_BYTES = 4 * 1024 * 1024;

/** Needs node --expose-gc; nothing happens without. */
export function beThrifty(): { close(): void } {
  const collect = globalThis.gc;
  let leftBytes = 0;
  let gaveBackBytes = 0;
  const look = (): void => {
    const before = inUse();
    if (before < leftBytes + WORTH_BYTES && gaveBackBytes < WORTH_BYTES) return;
    collect?.();
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
