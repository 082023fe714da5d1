// How a recording is played: its speed, and whether pauses are skipped.
import { type Playback, type Speed, speeds } from './use-playback.ts';

export function PlaybackBar({ playback }: { readonly playback: Playback }) {
  return (
    <span class="playback">
      <label class="check" title="Skip pauses without output (i)">
        <input
          type="checkbox"
          checked={playback.skipsIdle}
          onChange={(event) => playback.setSkipsIdle(event.currentTarget.checked)}
        />
        Skip idle
      </label>
      <label>
        <span class="unseen">Speed</span>
        <select
          value={String(playback.speed)}
          onChange={(event) => playback.setSpeed(Number(event.currentTarget.value) as Speed)}
        >
          {speeds.map((speed) => (
            <option key={speed} value={String(speed)}>
              {speed}×
            </option>
          ))}
        </select>
      </label>
    </span>
  );
}
