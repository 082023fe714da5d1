// What the gateway counts, for Prometheus: slots, connections, calls, frames, and how the process itself does. Labels are from closed sets only.
import { Hono } from 'hono';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { Fault } from '../../protocol/fault.ts';
import type { SlotInfo } from '../../protocol/slot.ts';
import { type Gate, requireRole } from '../auth/gate.ts';
import type { HttpEnv } from './env.ts';

/** Asked at every scrape. */
export interface MetricsSources {
  slots(): readonly Pick<SlotInfo, 'state' | 'viewers' | 'processes'>[];
  /** WebSockets that are open. */
  connections(): number;
  /** Recordings that can't be written now, and frames that are in none. */
  recording(): { readonly failing: number; readonly lostFrames: number };
}

/** One call that has ended. */
export interface CallMetric {
  /** From the contract, or `unknown`: a name that a client made up would be a label without end. */
  readonly method: string;
  readonly outcome: string;
  readonly durationMs: number;
}

/** From a terminal key (about 1 ms) to a build (minutes). */
const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];
const slotStates = ['free', 'leased', 'resetting', 'failed'] as const satisfies readonly SlotInfo['state'][];

export class Metrics {
  readonly #registry = new Registry();
  readonly #calls: Counter<'method' | 'outcome'>;
  readonly #seconds: Histogram<'method'>;

  constructor(sources: MetricsSources) {
    const registers = [this.#registry];
    collectDefaultMetrics({ register: this.#registry, prefix: 'slotcast_' });
    this.#calls = new Counter({
      name: 'slotcast_rpc_calls_total',
      help: 'Calls by method and outcome: ok or the name of the fault.',
      labelNames: ['method', 'outcome'],
      registers,
    });
    this.#seconds = new Histogram({
      name: 'slotcast_rpc_duration_seconds',
      help: 'Time from a call to its reply.',
      labelNames: ['method'],
      buckets: SECONDS,
      registers,
    });
    this.#slotGauges(sources);
    this.#gauge('slotcast_connections', 'WebSockets that are open.', () => sources.connections());
    this.#recordingMetrics(sources);
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  readonly observeCall = ({ method, outcome, durationMs }: CallMetric): void => {
    this.#calls.inc({ method, outcome });
    this.#seconds.observe({ method }, durationMs / 1000);
  };

  text(): Promise<string> {
    return this.#registry.metrics();
  }

  #slotGauges({ slots }: MetricsSources): void {
    const sum = (of: (slot: ReturnType<typeof slots>[number]) => number): number =>
      slots().reduce((total, slot) => total + of(slot), 0);
    this.#gauge('slotcast_viewers', 'Watches of all slots.', () => sum(({ viewers }) => viewers));
    this.#gauge('slotcast_processes', 'Commands that run now.', () => sum(({ processes }) => processes));
    new Gauge({
      name: 'slotcast_slots',
      help: 'Slots by state.',
      labelNames: ['state'],
      registers: [this.#registry],
      collect() {
        const all = slots();
        for (const state of slotStates) this.set({ state }, all.filter((slot) => slot.state === state).length);
      },
    });
  }

  #recordingMetrics({ recording }: MetricsSources): void {
    const failing = 'Recordings that the disk does not take now.';
    this.#gauge('slotcast_recordings_failing', failing, () => recording().failing);
    new Counter({
      name: 'slotcast_recording_lost_frames_total',
      help: 'Frames that are missing in recordings, since the disk did not take them.',
      registers: [this.#registry],
      collect() {
        this.reset();
        this.inc(recording().lostFrames);
      },
    });
  }

  #gauge(name: string, help: string, value: () => number): void {
    const collect = function (this: Gauge): void {
      this.set(value());
    };
    new Gauge({ name, help, registers: [this.#registry], collect });
  }
}

/** Open on the host itself, where scrapers run; from elsewhere, and through a proxy, a viewer's token is needed. */
export function metricsRoute(metrics: Metrics, gate: Gate): Hono<HttpEnv> {
  const app = new Hono<HttpEnv>();
  app.get('/metrics', async (c) => {
    const { incoming } = c.env;
    const proxied = ['forwarded', 'x-forwarded-for', 'x-real-ip'].some((name) => incoming.headers[name] !== undefined);
    if (proxied || !isLoopback(incoming.socket.remoteAddress)) {
      const admission = await gate.admit(incoming);
      requireRole(admission.role, 'viewer', '/metrics');
      if (admission.cast !== null) throw new Fault('FORBIDDEN', 'This credential is for one recording only.');
    }
    return c.body(await metrics.text(), 200, { 'content-type': metrics.contentType, 'cache-control': 'no-store' });
  });
  return app;
}

const isLoopback = (address = ''): boolean => address === '::1' || /^(::ffff:)?127\./.test(address);
