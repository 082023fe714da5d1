// The recordings of one lease of a chaos run, read when it is over: every line that the terminal printed stands there, once and in order.
import { sleep } from './program.mjs';
import { flawOf, GAP, numbersIn } from './text.mjs';

/** Frames that were seen and not written yet when the keeper was killed: some flushes of 50 ms. */
const UNWRITTEN_CHARS = 64 * 1024;

/** How long a frame may wait until it is written, on a busy machine. */
const UNWRITTEN_MS = 1000;

/** Until a new keeper has sealed what the one before it left. */
const SEALED_MS = 20_000;

/** A recording that its keeper left behind says so in its last marker. */
const CUT_SHORT = /without notice|keeper/i;

/** Reads and checks them. `items`: what was printed, by name; `seen`: what a viewer was shown, by cast. */
export async function checkRecordings({ client, casts, items, seen, ledger, context, releasedMs }) {
  const texts = [];
  for (const [index, cast] of casts.entries()) {
    // Its keeper may have died as it was about to be closed.
    const isCutShort = ledger.touched(['kill-keeper'], releasedMs - 5000);
    const isLast = index === casts.length - 1 && !isCutShort;
    const mayBeEither = index === casts.length - 1 && isCutShort;
    const raw = await patiently(async () => await new Response((await client.cast.download(cast)).stream).text());
    const { text, labels, isSound } = parse(raw);
    ledger.add('bytes recorded', raw.length);
    texts.push(text);
    const wrong = (what, more = {}) => ledger.violation('recording', `${cast}: ${what}`, { ...context, ...more });
    if (!isSound) wrong('is no asciicast');
    const verified = await sealed(client, cast);
    if (!verified.ok) wrong('does not verify', { verified });
    if (!mayBeEither && verified.recovered !== !isLast)
      wrong(isLast ? 'was not closed by the release' : 'does not say that it was cut short', { verified });
    if (!mayBeEither && !isLast && !CUT_SHORT.test(labels.at(-1) ?? ''))
      wrong('has no marker at the end that says so', { last: labels.at(-1) });
    checkSeen({ text, parts: seen.get(cast) ?? [], isLast, wrong });
  }
  // A printer that was cut short by the keeper's end may have its beginning in one recording only, and nothing in the next.
  const found = texts.map(numbersIn);
  for (const [name, { count, isWhole: wasWhole, sinceMs, toldMs }] of items) {
    // What ended right before the keeper was killed may not have been written yet; its reply may have come later.
    const isWhole = wasWhole && !ledger.killed('kill-keeper', sinceMs, toldMs + UNWRITTEN_MS);
    const numbers = found.flatMap((each) => each.get(name) ?? []);
    const isExcused = texts.some((text) => text.includes(GAP));
    const flaw = flawOf(numbers.length === 0 && isExcused ? [null] : numbers, { count, isWhole });
    if (flaw !== null)
      ledger.violation('recording', `${name} in the recording of ${context.slot}: ${flaw}`, { ...context, casts });
    ledger.add('bytes checked', numbers.length * 30);
  }
}

/** One whose keeper has died is sealed by the next, as soon as that is there. */
async function sealed(client, cast) {
  for (const endMs = performance.now() + SEALED_MS; ; await sleep(500)) {
    const verified = await patiently(() => client.cast.verify(cast));
    if (verified.sealed || performance.now() > endMs) return verified;
  }
}

function parse(raw) {
  let text = '';
  const labels = [];
  let isSound = raw.endsWith('\n');
  for (const [index, line] of raw.split('\n').entries()) {
    if (line.startsWith('# slotcast gap')) text += GAP;
    if (index === 0 || line === '' || line.startsWith('#')) continue;
    try {
      const [, code, data] = JSON.parse(line);
      if (code === 'o') text += data;
      if (code === 'm') labels.push(data);
    } catch {
      isSound = false;
    }
  }
  return { text, labels, isSound };
}

function checkSeen({ text, parts, isLast, wrong }) {
  if (text.includes(GAP)) return;
  for (const part of parts) {
    const sure = isLast ? part : part.slice(0, Math.max(0, part.length - UNWRITTEN_CHARS));
    if (!text.includes(sure)) wrong('lacks what a viewer saw', { seen: sure });
  }
}

/** The gateway may die in the middle of it: reading is repeated. */
export async function patiently(run, tries = 40) {
  for (let n = 1; ; n++) {
    try {
      return await run();
    } catch (error) {
      if (n >= tries || (error?.fault !== undefined && error.fault !== 'SHUTTING_DOWN')) throw error;
      await sleep(500);
    }
  }
}
