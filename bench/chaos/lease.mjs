// One lease of a chaos run: an agent that works in its slot for a while, and a look at all that it left when it is over.
import { join } from 'node:path';
import { connect } from '../../dist/client/index.js';
import { runCommand } from './command.mjs';
import { readBack, useFile } from './file.mjs';
import { CUTTING } from './ledger.mjs';
import { read, sleep } from './program.mjs';
import { checkRecordings, patiently } from './recording.mjs';
import { Shell } from './shell.mjs';
import { Watcher } from './watcher.mjs';

/** No call takes so long, whatever happens. */
const HUNG_MS = 180_000;
/** How long a lease outlives its connection; also how long a slot may be busy with one whose reply was lost. */
const SLOT_MS = 90_000;
/** Until a half-sent upload and what ends late are cleared away. */
const TIDY_MS = 30_000;

export class Lease {
  /** What the terminal printed, by name. */
  items = new Map();
  /** Hashes that a file may have, by path; null: it may be missing, or nobody reads it. */
  files = new Map();
  /** Files that may be there or not. */
  loose = new Set();
  busy = new Set();
  /** By command: ran, not, or unsure. */
  #notes = new Map();
  /** What it was told last of a command that failed, by command. */
  #errors = new Map();
  #ids = 0;
  #casts = [];
  #isReleasing = false;
  #isOver = false;
  #parts;

  constructor(parts) {
    this.#parts = parts;
  }

  get ledger() {
    return this.#parts.ledger;
  }

  get random() {
    return this.#parts.random;
  }

  nextId(kind) {
    return `${this.#parts.label}.${kind}${++this.#ids}`.toLowerCase();
  }

  /** Works until then, then gives the slot back and checks what is left. */
  async run(untilMs) {
    const { at, ledger, slotName, label } = this.#parts;
    const client = await patiently(() => connect(at), 200);
    const slot = await this.#acquire(client);
    if (slot === null) return await client.close();
    ledger.add('leases');
    this.slot = slot;
    this.#casts.push(slot.cast);
    client.on('resumed', () => {
      ledger.add('resumes');
      this.#noteCast(slot.cast);
    });
    client.on('lost', ({ fault }) => {
      if (this.#isReleasing) return;
      this.#isOver = true;
      ledger.violation('lease', `${slotName} was lost`, { fault, label });
    });
    const watcher = await patiently(() => Watcher.open({ at, slot: slotName, ledger }));
    const over = () => this.#isOver || performance.now() > untilMs;
    const shell = new Shell(this);
    const acts = [() => shell.act(), () => runCommand(this), () => runCommand(this), () => useFile(this)];
    await Promise.all(acts.map((act) => this.#repeat(act, over)));
    if (!this.#isOver) await this.#finish(client, watcher);
    else await watcher.close(0);
    await client.close();
  }

  async #repeat(act, over) {
    while (!over()) {
      await act();
      await sleep(this.random.between(20, 500));
    }
  }

  async #acquire(client) {
    const { slotName, label, ledger } = this.#parts;
    const beginMs = performance.now();
    for (let mayBeOurs = false; ; ) {
      const order = { id: 'acquire', command: `slot.acquire of ${slotName}`, sinceMs: performance.now() };
      try {
        if (mayBeOurs) {
          const info = await client.call('slot.info', { slot: slotName });
          if (info.label === label) return await client.takeover({ slot: slotName });
        }
        return await client.acquire({ slot: slotName, label });
      } catch (error) {
        const isBusy = error.fault === 'SLOT_BUSY' && performance.now() - beginMs < SLOT_MS;
        if (!isBusy && this.excuse(error, order) === null) return null;
        mayBeOurs ||= error.fault === undefined;
        if (performance.now() - beginMs > 2 * SLOT_MS) {
          ledger.violation('lease', `${slotName} cannot be had`, { error });
          return null;
        }
        await sleep(500);
      }
    }
  }

  #noteCast(cast) {
    if (this.#casts.at(-1) !== cast) this.#casts.push(cast);
  }

  /** Makes a call of the slot: its value or error, and never neither. */
  async attempt(_order, call) {
    let timer;
    const hung = new Promise((resolve) => {
      timer = setTimeout(() => resolve({ error: new Error(`no reply within ${HUNG_MS} ms`) }), HUNG_MS);
    });
    const made = call(this.slot).then(
      (value) => ({ value }),
      (error) => ({ error }),
    );
    const result = await Promise.race([made, hung]);
    clearTimeout(timer);
    return result;
  }

  /** What an error says about what was asked: `not` done, or `unsure`. Tells a violation and is null when nothing excuses it. */
  excuse(error, order) {
    const touched = (...kinds) => this.ledger.touched(kinds, order.sinceMs);
    this.ledger.refused(error.fault ?? error.name);
    if (this.#isOver) return 'unsure';
    const excuses = {
      SHUTTING_DOWN: ['not', touched('upgrade', 'replace', 'kill-keeper')],
      SANDBOX_UNAVAILABLE: [
        'not',
        touched('kill-keeper', 'stop-keeper', 'kill-gateway', 'kill-twice', 'upgrade', 'replace'),
      ],
      NO_SPACE: ['not', touched('full-disk')],
      TERMINAL_ENDED: ['unsure', touched('kill-keeper', 'full-disk')],
      TERMINAL_BUSY: ['unsure', touched('kill-keeper', 'stop-keeper', 'full-disk')],
      UnconfirmedError: ['unsure', touched(...CUTTING)],
      ConnectionError: ['unsure', touched(...CUTTING)],
    };
    const [meaning, isExcused] = excuses[error.fault ?? error.name] ?? [null, false];
    if (isExcused) {
      this.#errors.set(order.id, error);
      return meaning;
    }
    this.wrong('refused', 'a call failed without need', order, { error });
    return null;
  }

  /** Of two calls that mean one command the surer one counts. */
  note(id, meaning) {
    const before = this.#notes.get(id);
    if (before !== 'ran')
      this.#notes.set(id, before === undefined || meaning === 'ran' ? (meaning ?? 'unsure') : 'unsure');
  }

  wrong(kind, what, order, details = {}) {
    const { slotName, label } = this.#parts;
    const { id, command, sinceMs } = order;
    const began = `${((performance.now() - sinceMs) / 1000).toFixed(1)} s ago`;
    this.ledger.violation(kind, what, {
      id,
      slot: slotName,
      label,
      cast: this.#casts.at(-1),
      command,
      began,
      ...details,
    });
  }

  async #finish(client, watcher) {
    const { ledger, slotName, label, dataDir } = this.#parts;
    const context = { slot: slotName, label };
    for (const path of this.files.keys()) if (this.files.get(path) !== null) await readBack(this, path);
    await this.#checkTidy();
    this.#noteCast((await patiently(() => this.slot.info())).cast);
    this.#checkCounts(read(join(dataDir, 'slots', slotName, 'workspace', 'count')));
    this.#isReleasing = true;
    const order = { id: 'release', command: 'slot.release', sinceMs: performance.now() };
    const { error } = await this.attempt(order, (slot) => slot.release());
    if (error !== undefined && this.excuse(error, order) === null) return await watcher.close(0);
    await watcher.close(5000);
    // Every one that a viewer was told of, and what the agent knows.
    const listed = (await patiently(() => client.cast.list({ label, slot: slotName })))
      .map(({ cast }) => cast)
      .reverse();
    for (const cast of [...this.#casts, ...watcher.casts])
      if (cast !== null && !listed.includes(cast))
        ledger.violation('recording', `${cast} is not listed`, { ...context, listed });
    await checkRecordings({
      client,
      casts: listed,
      items: this.items,
      seen: watcher.seen,
      ledger,
      context,
      releasedMs: order.sinceMs,
    }).catch((failed) => ledger.violation('recording', 'cannot be read', { ...context, casts: listed, failed }));
  }

  #checkCounts(text) {
    const times = new Map();
    for (const id of text.split('\n').filter((line) => line !== '')) times.set(id, (times.get(id) ?? 0) + 1);
    for (const [id, meaning] of this.#notes) {
      const ran = times.get(id) ?? 0;
      times.delete(id);
      const isRight = meaning === 'ran' ? ran === 1 : meaning === 'not' ? ran === 0 : ran <= 1;
      if (!isRight)
        this.ledger.violation(ran > 1 ? 'twice' : 'once', `${id} ran ${ran} times, and was told as ${meaning}`, {
          slot: this.slot.name,
          error: this.#errors.get(id),
        });
    }
    for (const [id, ran] of times)
      this.ledger.violation('twice', `${id} ran ${ran} times, and nobody asked for it`, { slot: this.slot.name });
  }

  /** Nothing in the workspace that nobody put there. */
  async #checkTidy() {
    const known = (path) => path === 'count' || /^d\d$/.test(path) || this.files.has(path) || this.loose.has(path);
    for (const deadline = performance.now() + TIDY_MS; ; await sleep(1000)) {
      const { entries } = await patiently(() => this.slot.file.list({ recursive: true }));
      const strange = entries.map(({ path }) => path).filter((path) => !known(path));
      if (strange.length === 0) return;
      if (performance.now() < deadline) continue;
      return this.ledger.violation('left', `files in the workspace of ${this.slot.name} that nobody made`, { strange });
    }
  }
}
