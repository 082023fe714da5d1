// The one file that knows asciinema-player: live terminals and recordings as things that can be played, loaded only when one is shown.
import type { Player as AsciinemaPlayer } from 'asciinema-player';

export type PlayerSource =
  | { readonly kind: 'live'; readonly slot: string }
  | {
      readonly kind: 'recording';
      /** Address of the segmented index. */
      readonly index: string;
      /** Seconds. */
      readonly startAt: number;
      readonly speed: number;
      readonly plays: boolean;
    };

export interface PlayerListener {
  /** The picture is there. */
  ready?(): void;
  playing?(isPlaying: boolean): void;
  /** The recording is at its end, or the live terminal is. */
  ended?(): void;
  failed?(reason: string): void;
}

/** The longest pause between tries to get a lost live terminal back: short, since the page says that it is being looked for. */
const LONGEST_PAUSE_MS = 3000;
const FONT =
  'ui-monospace, "Cascadia Code", "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", "Liberation Mono", monospace';

/** Fields that its types leave out. */
type Source = Parameters<typeof import('asciinema-player')['create']>[0];
type Listen = (name: string, listener: (event: { message?: string }) => void) => void;

export class Player {
  readonly #player: AsciinemaPlayer;
  #isSeeking = false;
  #wanted: number | null = null;
  /** Where it will be: the player itself says 0 until it has got there. */
  #coming: number | null = null;
  #isDisposed = false;

  private constructor(player: AsciinemaPlayer) {
    this.#player = player;
  }

  /** Draws into `place`, which must be empty and have a size. */
  static async open(place: HTMLElement, source: PlayerSource, listener: PlayerListener): Promise<Player> {
    const { create } = await load();
    const isLive = source.kind === 'live';
    const player = create(
      isLive ? liveSource(source.slot) : ({ url: source.index, format: 'segmented' } as Source),
      place,
      {
        fit: 'both',
        controls: false,
        theme: 'slotcast',
        terminalFontFamily: FONT,
        cursorMode: 'steady',
        autoPlay: isLive || source.plays,
        ...(isLive ? {} : { startAt: source.startAt, speed: source.speed }),
      },
    );
    listen(player, listener);
    // Its own keys would act beside those of the page.
    place.addEventListener('keydown', (event) => event.stopPropagation());
    const opened = new Player(player);
    if (!isLive) opened.#begin(source);
    return opened;
  }

  /** Seconds since the recording began. */
  get time(): number {
    return this.#coming ?? this.#player.getCurrentTime() ?? 0;
  }

  play(): void {
    void this.#player.play().catch(() => {});
  }

  pause(): void {
    void this.#player.pause().catch(() => {});
  }

  /** Of many wishes in a row only the last one is carried out. */
  seek(time: number): void {
    this.#wanted = time;
    this.#coming = time;
    if (!this.#isSeeking) void this.#seekOn();
  }

  /** Idempotent. */
  close(): void {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    this.#player.dispose();
  }

  #begin({ startAt, plays }: { readonly startAt: number; readonly plays: boolean }): void {
    if (!plays) {
      this.seek(startAt);
      return;
    }
    this.#coming = startAt;
    this.#player.addEventListener('playing', () => {
      if (!this.#isSeeking) this.#coming = null;
    });
  }

  async #seekOn(): Promise<void> {
    this.#isSeeking = true;
    while (this.#wanted !== null && !this.#isDisposed) {
      const time = this.#wanted;
      this.#wanted = null;
      await this.#player.seek(time).catch(() => {});
    }
    this.#coming = null;
    this.#isSeeking = false;
  }
}

async function load(): Promise<typeof import('asciinema-player')> {
  const [player] = await Promise.all([
    import('asciinema-player'),
    import('asciinema-player/dist/bundle/asciinema-player.css'),
  ]);
  return player;
}

function liveSource(slot: string): Source {
  const url = `${location.origin.replace(/^http/, 'ws')}/live/${encodeURIComponent(slot)}`;
  const reconnectDelay = (attempt: number): number =>
    Math.min(LONGEST_PAUSE_MS, 300 * 2 ** attempt) * (0.5 + Math.random() / 2);
  return { driver: 'websocket', url, bufferTime: 0, reconnectDelay } as unknown as Source;
}

function listen(player: AsciinemaPlayer, listener: PlayerListener): void {
  const on: Listen = player.addEventListener.bind(player) as Listen;
  on('reset', () => listener.ready?.());
  on('playing', () => listener.playing?.(true));
  on('pause', () => listener.playing?.(false));
  on('ended', () => {
    listener.playing?.(false);
    listener.ended?.();
  });
  on('error', ({ message }) => listener.failed?.(message ?? 'The recording could not be loaded.'));
}
