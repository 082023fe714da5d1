// The terminal part of an agent in a chaos run: a shell whose directory and variables have to persist, and printers whose every line is recorded.
import { sleep } from './program.mjs';
import { isCut, lines, printer } from './text.mjs';

/** How long a printer may be silent when nothing hurts it. */
const PATIENCE_MS = 90_000;
const STOP_TRIES = 100;
/** What else costs a shell, or the answer to a call that means it. */
const COSTS_SHELL = ['kill-keeper', 'full-disk'];

export class Shell {
  #work;
  /** What the shell has now; null when it is a new one, or when that is not known. */
  #state = null;

  constructor(work) {
    this.#work = work;
  }

  async act() {
    const kind = this.#work.random.weighted([
      [6, () => this.#run()],
      [3, () => this.#print()],
      [3, () => this.#printBehind()],
      [1, () => this.#timeOut()],
      [1, () => this.#leave()],
      [1, () => this.#look()],
    ]);
    await kind();
  }

  /** A name and its lines, noted as to be found in the recording. */
  #begin(count) {
    const id = this.#work.nextId('t');
    const order = {
      id,
      count,
      sinceMs: performance.now(),
      stdout: lines(id, count),
      printed: { count, isWhole: false, sinceMs: performance.now(), toldMs: 0 },
    };
    this.#work.items.set(id, order.printed);
    return order;
  }

  #mark(id) {
    // A shell of which nothing is known is brought to where it can be checked.
    const known = this.#state === null ? 'v=0; cd /workspace; ' : '';
    return `${known}echo ${id} >>/workspace/count; v=$((v+1)); `;
  }

  async #run() {
    const { random } = this.#work;
    const order = this.#begin(random.below(4) === 0 ? random.below(5000) : random.below(100));
    const cwd = `/workspace/d${random.below(5)}`;
    const exitCode = random.below(3) * 5;
    const v = (this.#state?.v ?? 0) + 1;
    const script = `${this.#mark(order.id)}mkdir -p ${cwd}; cd ${cwd}; ${printer(order.id, order.count)}; echo "v=$v"; (exit ${exitCode})`;
    await this.#told(
      order,
      script,
      { outcome: 'exited', exitCode, cwd, output: `${order.stdout}v=${v}\n` },
      { v, cwd },
    );
  }

  /** In the foreground, line by line, longer than a fault. */
  async #print() {
    const order = this.#begin(this.#work.random.between(200, 1500));
    const v = (this.#state?.v ?? 0) + 1;
    const cwd = this.#state?.cwd ?? '/workspace';
    const script = `${this.#mark(order.id)}${printer(order.id, order.count, 5)}`;
    await this.#told(order, script, { outcome: 'exited', exitCode: 0, cwd, output: order.stdout }, { v, cwd });
  }

  /** Behind the shell, so that nobody waits for it but the recorder. */
  async #printBehind() {
    const { random, ledger } = this.#work;
    const order = this.#begin(random.between(500, 4000));
    const done = `done-${order.id}`;
    this.#work.files.set(done, null);
    // In a shell of its own, or the next prompt would tell of its end.
    const script = `${this.#mark(order.id)}( ( ${printer(order.id, order.count, 4)}; echo $? >/workspace/${done} ) & )`;
    const v = (this.#state?.v ?? 0) + 1;
    const cwd = this.#state?.cwd ?? '/workspace';
    const began = await this.#told(
      order,
      script,
      { outcome: 'exited', exitCode: 0, cwd, output: null },
      { v, cwd },
      false,
    );
    if (!began) return await this.#stop(order);
    const stopMs = performance.now() + order.count * 10 + PATIENCE_MS;
    for (;;) {
      const { value, error } = await this.#work.attempt(order, (slot) => slot.file.stat(done));
      if (value !== undefined) break;
      if (error.fault !== 'FILE_NOT_FOUND' && this.#work.excuse(error, order) === null) return;
      if (ledger.touched(COSTS_SHELL, order.sinceMs)) return await this.#stop(order);
      if (performance.now() > stopMs) return this.#work.wrong('lost', 'a printer behind the shell never ends', order);
      await sleep(300);
    }
    order.printed.isWhole = true;
    order.printed.toldMs = performance.now();
    // The last lines may still be on their way through the pty when the file is there.
    await this.#work.attempt(order, (slot) => slot.terminal.wait({ idleMs: 300, timeoutMs: 10_000 }));
  }

  /** What may have begun, or be left of it, must not print into the next command. */
  async #stop(order) {
    this.#state = null;
    for (let tries = 0; tries < STOP_TRIES; tries++) {
      const { error } = await this.#work.attempt(order, (slot) => slot.terminal.stop());
      if (error === undefined || this.#work.excuse(error, order) === null) return;
      await sleep(300);
    }
  }

  async #timeOut() {
    const order = this.#begin(this.#work.random.between(1, 20));
    const cwd = this.#state?.cwd ?? '/workspace';
    const v = (this.#state?.v ?? 0) + 1;
    const script = `${this.#mark(order.id)}${printer(order.id, order.count)}; sleep 300`;
    const timeoutMs = this.#work.random.between(1000, 4000);
    await this.#told(
      order,
      script,
      { outcome: 'timedOut', exitCode: null, cwd, output: order.stdout, timeoutMs },
      { v, cwd },
    );
  }

  async #leave() {
    const order = this.#begin(10);
    const script = `${this.#mark(order.id)}${printer(order.id, order.count)}; exit 7`;
    await this.#told(order, script, { outcome: 'exited', exitCode: 7, cwd: null, output: order.stdout }, null);
  }

  async #look() {
    const order = { id: 'capture', command: 'terminal.capture', sinceMs: performance.now() };
    const { error } = await this.#work.attempt(order, (slot) => slot.terminal.capture());
    if (error !== undefined) this.#work.excuse(error, order);
  }

  /** What terminal.run told, against what it had to be. Resolves with whether the script ran as it should. */
  async #told(order, script, expected, after, isWhole = true) {
    const { work, ledger } = { work: this.#work, ledger: this.#work.ledger };
    ledger.add('terminal runs');
    order.command = script;
    const { value: result, error } = await work.attempt(order, (slot) =>
      slot.terminal.run({ command: script, timeoutMs: expected.timeoutMs ?? 120_000 }),
    );
    this.#state = null;
    if (error !== undefined) {
      work.note(order.id, work.excuse(error, order));
      return false;
    }
    if (
      ledger.touched(COSTS_SHELL, order.sinceMs) &&
      (result.outcome === 'lost' || result.limit === 'disk' || result.exitCode !== expected.exitCode)
    ) {
      if (result.outcome === 'lost') ledger.add('told as lost');
      work.note(order.id, 'unsure');
      return false;
    }
    if (result.outcome === 'lost') {
      work.note(order.id, 'unsure');
      work.wrong('lost', 'a terminal.run is told as lost though its keeper lived', order, { got: result });
      return false;
    }
    if (expected.outcome === 'timedOut' && isCut(result.output?.replace(/\^C\s*$/, '') ?? '', expected.output)) {
      ledger.add('too slow for their time');
      work.note(order.id, 'unsure');
      return false;
    }
    const fits =
      result.outcome === expected.outcome &&
      result.exitCode === expected.exitCode &&
      (expected.output === null || sameOutput(result, expected.output)) &&
      (result.cwd === expected.cwd || expected.outcome === 'timedOut');
    work.note(order.id, ledger.touched(['full-disk'], order.sinceMs) ? 'unsure' : 'ran');
    // A shell that died with its keeper since the last command has lost its variables; the recording is checked in any case.
    if (!fits && !ledger.touched(COSTS_SHELL, order.sinceMs)) {
      work.wrong('wrong', 'a terminal.run is told otherwise', order, { expected, got: result });
      return false;
    }
    if (!fits) return false;
    order.printed.isWhole = isWhole;
    order.printed.toldMs = performance.now();
    ledger.add('bytes checked', result.outputBytes);
    this.#state = result.cwd === expected.cwd ? after : null;
    return true;
  }
}

/** Of a long output whose reply was lost with its gateway both ends are told, and that the middle is left out. */
function sameEnds(output, expected) {
  const [head = '', tail = ''] = output.split(/\n\[… \d+ characters left out …\]\n/);
  return head !== '' && tail !== '' && expected.startsWith(head) && expected.endsWith(tail);
}

/** A command that is interrupted may show the ^C. */
const sameOutput = ({ output, outcome, truncated }, expected) =>
  output === expected ||
  (truncated && sameEnds(output, expected)) ||
  (outcome === 'timedOut' && output.startsWith(expected) && output.length < expected.length + 20);
