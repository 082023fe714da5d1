// Playing a recording: where it is, how fast, and over what it jumps. The player has no setter for its speed, so another speed is another player.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { Player, PlayerSource } from '../player/player.ts';
import { readSetting, writeSetting } from '../theme.ts';
import { pauseAt } from './idle.ts';
import type { CastDetail } from './use-cast.ts';

export const speeds = [0.5, 1, 2, 4, 8, 16] as const;
export type Speed = (typeof speeds)[number];

export interface Playback {
  readonly source: PlayerSource;
  /** Seconds. */
  readonly time: number;
  readonly isPlaying: boolean;
  readonly speed: Speed;
  readonly skipsIdle: boolean;
  seek(time: number): void;
  togglePlay(): void;
  setSpeed(speed: Speed): void;
  setSkipsIdle(skips: boolean): void;
  hold(player: Player | null): void;
  onPlaying(isPlaying: boolean): void;
  onEnded(): void;
}

const READ_MS = 150;
const SKIP_KEY = 'slotcast.skip-idle';

export function usePlayback(info: CastDetail | null, startAt: number): Playback {
  const cast = info?.cast ?? '';
  // A recording that goes on is frozen at what is known of it.
  const until = info?.live === true ? Math.floor(info.duration * 1000) : null;
  const [opened, setOpened] = useState<{ startAt: number; speed: Speed; plays: boolean }>({
    startAt,
    speed: 1,
    plays: startAt === 0,
  });
  const [time, setTime] = useState(startAt);
  const [isPlaying, setPlaying] = useState(false);
  const [skipsIdle, setSkipsIdle] = useState(readSetting(SKIP_KEY) === 'yes');
  const player = useRef<Player | null>(null);
  const source = useMemo<PlayerSource>(() => {
    const query = until === null ? '' : `?until=${until}`;
    return { kind: 'recording', index: `/casts/${encodeURIComponent(cast)}/index.json${query}`, ...opened };
  }, [cast, until, opened]);
  const idle = info?.idle;

  useEffect(() => {
    const timer = setInterval(() => {
      const held = player.current;
      if (held === null) return;
      setTime(held.time);
      if (!isPlaying || !skipsIdle || idle === undefined) return;
      const end = pauseAt(idle, held.time, opened.speed);
      if (end !== null) held.seek(end);
    }, READ_MS);
    return () => clearInterval(timer);
  }, [isPlaying, skipsIdle, idle, opened.speed]);

  const seek = (to: number): void => {
    const within = Math.min(Math.max(0, to), info?.duration ?? to);
    setTime(within);
    if (player.current !== null) player.current.seek(within);
    else setOpened({ ...opened, startAt: within });
  };
  const duration = info?.duration ?? 0;
  return {
    source,
    time,
    isPlaying,
    speed: opened.speed,
    skipsIdle,
    seek,
    togglePlay: () => {
      // Until the player is there, what is wished for is how it begins.
      if (player.current === null) return setOpened({ ...opened, plays: !opened.plays });
      if (isPlaying) return player.current.pause();
      // From the end it begins again.
      if (time >= duration - 0.05) seek(0);
      player.current.play();
    },
    setSpeed: (speed) => setOpened({ startAt: player.current?.time ?? time, speed, plays: isPlaying }),
    setSkipsIdle: (skips) => {
      writeSetting(SKIP_KEY, skips ? 'yes' : 'no');
      setSkipsIdle(skips);
    },
    hold: (held) => {
      player.current = held;
    },
    onPlaying: setPlaying,
    onEnded: () => setPlaying(false),
  };
}
