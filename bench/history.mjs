// Fills a recording as a busy terminal does: lines with colours, of differing lengths.

/** A line for each number, of 60 bytes on average. */
const script = (bytes) =>
  `awk 'BEGIN { for (n = 0; n < ${bytes}; n += length(line) + 1) {` +
  ` line = sprintf("\\033[3%dmstep %d\\033[0m of the build: %.*s", n % 8, n, n % 61, "${'compiled, linked, checked and installed without a word to say'}"); print line } }'`;

export async function printHistory(slot, bytes) {
  await slot.terminal.run({ command: script(bytes), timeoutMs: 0, maxOutputBytes: 1024 });
}
