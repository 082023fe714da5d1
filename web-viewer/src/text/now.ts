// The time of day as a value, for durations that go on.
import { useEffect, useState } from 'preact/hooks';
import { useApp } from '../context.ts';

/** ms since 1970; draws again once a second while `isOn`. */
export function useNow(isOn = true): number {
  const { ticks } = useApp();
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    if (!isOn) return;
    setNow(Date.now());
    return ticks.listen(() => setNow(Date.now()));
  }, [isOn, ticks]);
  return now;
}
