// A command of the keeper as the gateway sees it. What it prints crosses the link only for those who asked for it; how it ended, and what was
// kept of its output, comes once, at its end.
import type { Limit, SignalName } from '../../../protocol/exec.ts';
import { Follower } from '../follower.ts';
import type { KeptOutput, KeptProcess, ProcessEnd, ProcessSink, StreamName, Subscription, Totals } from '../keeper.ts';
import { refuseUnread } from '../process.ts';
import type { KeptStreams, WireProcess } from './contract.ts';
import type { RemoteLink } from './remote-link.ts';
import { bufferOf } from './wire.ts';

const streams = ['stdout', 'stderr'] as const satisfies readonly StreamName[];
const NOTHING: KeptOutput = { head: Buffer.alloc(0), tail: Buffer.alloc(0), total: 0 };

export class RemoteProcess implements KeptProcess {
  readonly startedAt: number;
  readonly ended: Promise<ProcessEnd>;
  end: ProcessEnd | null = null;
  readonly handle: number;
  readonly #link: RemoteLink;
  readonly #startMs: number;
  readonly #subscriptions = new Set<RemoteSubscription>();
  #output: Readonly<Record<StreamName, KeptOutput>> = { stdout: NOTHING, stderr: NOTHING };
  #refreshing: Promise<void> = Promise.resolve();
  #nextRefresh: Promise<void> | null = null;
  #settle: (end: ProcessEnd) => void = () => undefined;
  /** Bytes of input that are not told to be read. */
  #unread = 0;

  constructor(link: RemoteLink, wire: WireProcess) {
    this.#link = link;
    this.handle = wire.handle;
    this.startedAt = wire.startedAt;
    this.#startMs = performance.now() - wire.elapsedMs;
    this.ended = new Promise((resolve) => {
      this.#settle = resolve;
    });
    if (wire.end !== null && wire.output !== null) this.finish(wire.end, wire.output);
  }

  /** One whose keeper died as it was started. */
  static lost(link: RemoteLink): RemoteProcess {
    const wire = { handle: 0, startedAt: Date.now(), elapsedMs: 0, end: null, output: null };
    const process = new RemoteProcess(link, wire);
    process.lose();
    return process;
  }

  elapsedMs(): number {
    return this.end?.durationMs ?? Math.round(performance.now() - this.#startMs);
  }

  output(stream: StreamName): KeptOutput {
    return this.#output[stream];
  }

  refresh(): Promise<void> {
    // Who asks while the output is on its way can't take that, which is older than the question; all of them take the next one.
    this.#nextRefresh ??= this.#refreshing.then(() => {
      this.#nextRefresh = null;
      const asked = this.#ask();
      this.#refreshing = asked.catch(() => undefined);
      return asked;
    });
    return this.#nextRefresh;
  }

  async totals(): Promise<Totals> {
    if (this.end === null) return await this.#link.call('totalsOf', { process: this.handle });
    const { stdout, stderr } = this.#output;
    return { stdout: stdout.total, stderr: stderr.total };
  }

  subscribe(sink: ProcessSink, from: Readonly<Record<StreamName, number>>): Subscription {
    const subscription = new RemoteSubscription(this.#link, { process: this.handle, sink, from });
    if (this.end !== null) subscription.finish(this.#output);
    else {
      this.#subscriptions.add(subscription);
      subscription.begin();
    }
    return {
      close: () => {
        this.#subscriptions.delete(subscription);
        subscription.close();
      },
    };
  }

  async write(data: Buffer): Promise<boolean> {
    if (this.end !== null) return false;
    // Here too, since the keeper's word comes later than the next call.
    refuseUnread(this.#unread);
    this.#unread += data.length;
    try {
      return await this.#link.call('writeProcess', { process: this.handle, data });
    } finally {
      this.#unread -= data.length;
    }
  }

  async closeInput(): Promise<void> {
    if (this.end === null) await this.#link.call('closeInput', { process: this.handle });
  }

  async signal(name: SignalName): Promise<boolean> {
    if (this.end !== null) return false;
    return await this.#link.call('signalProcess', { process: this.handle, name });
  }

  async kill(limit?: Limit): Promise<void> {
    if (this.end !== null) return;
    await this.#link.call('killProcess', { process: this.handle, limit }).catch(() => null);
    await this.ended;
  }

  forget(): void {
    this.#link.tell('forget', { process: this.handle });
  }

  /** Once. */
  finish(end: ProcessEnd, output: KeptStreams): void {
    if (this.end !== null) return;
    this.#keep(output);
    this.end = end;
    for (const subscription of this.#subscriptions) subscription.finish(this.#output);
    this.#subscriptions.clear();
    this.#settle(end);
  }

  /** The keeper died, and the command with it; nobody knows how it ended. */
  lose(): void {
    const durationMs = this.elapsedMs();
    this.finish({ outcome: 'lost', exitCode: null, signal: null, durationMs }, this.#output);
  }

  async #ask(): Promise<void> {
    if (this.end !== null) return;
    const output = await this.#link.call('outputOf', { process: this.handle });
    if (this.end === null && output !== null) this.#keep(output);
  }

  #keep(output: KeptStreams): void {
    const { stdout, stderr } = output;
    this.#output = { stdout: keptOf(stdout), stderr: keptOf(stderr) };
  }
}

const keptOf = ({ head, tail, total }: KeptStreams['stdout']): KeptOutput => ({
  head: bufferOf(head),
  tail: bufferOf(tail),
  total,
});

interface SubscriptionParts {
  readonly process: number;
  readonly sink: ProcessSink;
  readonly from: Readonly<Record<StreamName, number>>;
}

/** One who asked for the output of a command that runs; what he has used up is told to the keeper, which then sends more. */
class RemoteSubscription {
  readonly #link: RemoteLink;
  readonly #parts: SubscriptionParts;
  readonly #follower: Follower;
  readonly #as: number;
  /** Handed over and not told to be used up. */
  readonly #untold: Record<StreamName, number> = { stdout: 0, stderr: 0 };
  /** Bytes of the stream that have come, or were not asked for. */
  readonly #offsets: Record<StreamName, number>;

  constructor(link: RemoteLink, parts: SubscriptionParts) {
    this.#link = link;
    this.#parts = parts;
    this.#offsets = { ...parts.from };
    this.#follower = new Follower(parts.sink, () => this.#tell());
    this.#as = link.newSubscription((stream, data, offset) => this.#chunk(stream, data, offset));
  }

  begin(): void {
    const { process, from } = this.#parts;
    this.#link.tell('subscribe', { process, as: this.#as, from });
  }

  /** The command has ended, perhaps before the keeper heard of this subscription: what has not come is in what was kept. */
  finish(output: Readonly<Record<StreamName, KeptOutput>>): void {
    this.#link.endSubscription(this.#as);
    for (const stream of streams) this.#follower.catchUp(stream, output[stream], this.#offsets[stream]);
    this.#follower.flush();
  }

  close(): void {
    this.#link.endSubscription(this.#as);
    this.#follower.close();
  }

  #chunk(stream: StreamName, data: Buffer, offset: number): void {
    this.#untold[stream] += data.length;
    this.#offsets[stream] = offset + data.length;
    this.#follower.push(stream, data, offset);
    this.#tell();
  }

  #tell(): void {
    for (const stream of streams) {
      const bytes = this.#untold[stream];
      if (bytes === 0 || this.#follower.busy(stream)) continue;
      this.#untold[stream] = 0;
      this.#link.tell('taken', { as: this.#as, stream, bytes });
    }
  }
}
