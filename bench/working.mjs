// Many slots that work at once: each prints four lines a second in its terminal, and runs a command every few seconds.
import { setTimeout as delay } from 'node:timers/promises';

const EVERY_MS = 10_000;
/** Typed into a shell: a line about four times a second, without a process for each. */
export const PRINTING =
  'coproc cat; clear; while read -t 0.25 -u "${COPROC[0]}"; [ $? -gt 128 ]; do echo "step $((i++)) of $RANDOM"; done\r';

/** ms of every command that the slots ran meanwhile. */
export async function work(slots, ms) {
  for (const slot of slots) await slot.terminal.write(PRINTING);
  const endMs = performance.now() + ms;
  const times = [];
  const one = async (slot, at) => {
    // Spread evenly, as those of many agents are.
    await delay((at / slots.length) * EVERY_MS);
    while (performance.now() < endMs) {
      const beginMs = performance.now();
      await slot.exec.run({ command: 'true' });
      const tookMs = performance.now() - beginMs;
      times.push(tookMs);
      await delay(Math.max(0, EVERY_MS - tookMs));
    }
  };
  await Promise.all(slots.map(one));
  return times;
}
