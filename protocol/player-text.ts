// Text as asciinema's player can take it. Up to 3.18 its terminal emulator hangs for ever, and the browser's tab with it, when it is handed
// certain lengths; a program in a slot could print them on purpose. Changes nothing that is seen.

/** Memory is asked of the browser in pages; a request of a page's end less this much makes its allocator loop. */
const PAGE_BYTES = 65_536;
const LOOPS_AT_BYTES = PAGE_BYTES - 16;

/** The same text, with characters behind it that terminals ignore when its length is one of those. */
export function playable(text: string): string {
  let safe = text;
  while (loops(safe)) safe += '\0';
  return safe;
}

/** The player asks for a byte for each character, and for three for each from the first one that is not ASCII. */
function loops(text: string): boolean {
  const { length } = text;
  if (length < LOOPS_AT_BYTES / 3 - 1) return false;
  if (length % PAGE_BYTES === LOOPS_AT_BYTES) return true;
  const plain = text.search(/[^\x00-\x7f]/);
  return plain !== -1 && (plain + 3 * (length - plain)) % PAGE_BYTES === LOOPS_AT_BYTES;
}
