// Keys of a recording that is played.
import { isPressable } from '../keyboard/keyboard.ts';
import { useKeys } from '../keyboard/use-keys.ts';
import { isCommandMark, neighbour, type TimelineMark } from '../timeline/tick.ts';
import { type Playback, speeds } from './use-playback.ts';

export function usePlaybackKeys(playback: Playback, marks: readonly TimelineMark[]): void {
  const group = 'Recording';
  const { time, speed } = playback;
  const toMark = (step: 1 | -1): void => {
    const mark = neighbour(marks.filter(isCommandMark), time, step);
    if (mark !== undefined) playback.seek(mark.time);
    else if (step === -1) playback.seek(0);
  };
  const by = (seconds: number): void => playback.seek(time + seconds);
  const faster = (step: 1 | -1): void => {
    const next = speeds[speeds.indexOf(speed) + step];
    if (next !== undefined) playback.setSpeed(next);
  };
  const onSpace = (): unknown => {
    if (isPressable(document.activeElement)) return false;
    return playback.togglePlay();
  };
  useKeys([
    { keys: [' '], says: 'play or pause', group, run: onSpace },
    { keys: ['['], says: 'command before', group, run: () => toMark(-1) },
    { keys: [']'], says: 'command after', group, run: () => toMark(1) },
    { keys: ['ArrowLeft'], says: 'back 5 s (with shift 60 s)', group, run: ({ shiftKey }) => by(shiftKey ? -60 : -5) },
    { keys: ['ArrowRight'], says: 'on 5 s (with shift 60 s)', group, run: ({ shiftKey }) => by(shiftKey ? 60 : 5) },
    { keys: ['+', '='], says: 'faster', group, run: () => faster(1) },
    { keys: ['-'], says: 'slower', group, run: () => faster(-1) },
    {
      keys: ['i'],
      says: 'skip pauses, or not',
      group,
      run: () => playback.setSkipsIdle(!playback.skipsIdle),
    },
  ]);
}
