// What a chaos run knows: the faults that were injected and when, what was counted, and each violation, told at once.

/** After a fault is over, what it broke may come to light so much later: a client waits up to 10 s before its next try. */
const AFTERMATH_MS = 20_000;

/** Faults after which a call may have been lost on its way. */
export const CUTTING = [
  'kill-gateway',
  'kill-twice',
  'upgrade',
  'replace',
  'cut',
  'stall',
  'stop-gateway',
  'kill-keeper',
  'stop-keeper',
];

export class Ledger {
  counts = {
    commands: 0,
    'terminal runs': 0,
    files: 0,
    leases: 0,
    resumes: 0,
    'bytes checked': 0,
    'bytes recorded': 0,
    frames: 0,
    'told as lost': 0,
    'cut outputs': 0,
    'announced as missing': 0,
    resyncs: 0,
  };
  violations = new Map();
  refusals = new Map();
  faults = [];
  /** By kind: how many. */
  injected = new Map();
  slowestStartMs = 0;
  #beginMs = performance.now();

  get seconds() {
    return ((performance.now() - this.#beginMs) / 1000).toFixed(1);
  }

  add(name, number = 1) {
    this.counts[name] = (this.counts[name] ?? 0) + number;
  }

  /** Begins a fault; call what is returned when it is over. */
  fault(kind, detail = '') {
    const entry = { kind, detail, at: this.seconds, fromMs: performance.now(), toMs: Number.POSITIVE_INFINITY };
    this.faults.push(entry);
    this.injected.set(kind, (this.injected.get(kind) ?? 0) + 1);
    if (process.env.CHAOS_VERBOSE) console.log(`${this.seconds} s  fault: ${kind} ${detail}`);
    return () => {
      entry.toMs = performance.now();
    };
  }

  /** Whether a fault of one of these kinds may have touched what began then. */
  touched(kinds, sinceMs, untilMs = performance.now()) {
    return this.faults.some(
      ({ kind, fromMs, toMs }) => kinds.includes(kind) && fromMs <= untilMs && toMs + AFTERMATH_MS >= sinceMs,
    );
  }

  /** Whether a fault of that kind was injected in this time. */
  killed(kind, fromMs, toMs) {
    return this.faults.some((fault) => fault.kind === kind && fault.fromMs >= fromMs && fault.fromMs <= toMs);
  }

  refused(name) {
    this.refusals.set(name, (this.refusals.get(name) ?? 0) + 1);
  }

  /** kind: lost, wrong, twice, hung, left, … */
  violation(kind, what, details = {}) {
    this.violations.set(kind, (this.violations.get(kind) ?? 0) + 1);
    const before = this.faults
      .slice(-4)
      .map(
        (fault) =>
          `${fault.kind} ${fault.detail} at ${fault.at} s${fault.toMs === Number.POSITIVE_INFINITY ? ' (goes on)' : ''}`,
      );
    console.log(`\n${this.seconds} s  ${kind.toUpperCase()}: ${what}`);
    for (const [name, value] of Object.entries(details)) console.log(`    ${name}: ${shorten(value)}`);
    console.log(`    faults before: ${before.join('; ') || 'none'}`);
  }
}

/** Enough to see what is wrong. */
const MAX_SHOWN = 1500;

function shorten(value) {
  const text =
    value instanceof Error
      ? `${value.name} ${value.fault ?? ''}: ${value.message}`
      : typeof value === 'string'
        ? value
        : JSON.stringify(value);
  return text !== undefined && text.length > MAX_SHOWN
    ? `${text.slice(0, MAX_SHOWN / 2)} … ${text.slice(-MAX_SHOWN / 2)}`
    : text;
}
