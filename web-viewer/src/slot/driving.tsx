// The terminal while somebody drives it from here: keys go to the slot, output comes from the watch. Marked so that nobody overlooks it.
import { useEffect, useRef, useState } from 'preact/hooks';
import type { SlotInfo } from '../../../client/index.ts';
import { useApp } from '../context.ts';
import { useStore } from '../store.ts';
import { type Drive, openDrive } from './drive.ts';

export interface DrivingProps {
  readonly info: SlotInfo;
  readonly stop: () => void;
}

export function Driving({ info, stop }: DrivingProps) {
  const { gateway, keyboard, notes } = useApp();
  const session = useStore(gateway.session);
  const place = useRef<HTMLDivElement>(null);
  const drive = useRef<Drive | null>(null);
  const [isReady, setReady] = useState(false);
  const { slot, label } = info;
  // One take-over for as long as this stands here.
  useEffect(() => {
    if (place.current === null) return;
    let isOver = false;
    keyboard.giveBack = stop;
    const lost = (error: Error): void => {
      if (isOver) return;
      notes.problem(error);
      stop();
    };
    const giveBack = (): void => void drive.current?.giveBack().catch((error: unknown) => notes.problem(error));
    // An agent names the label by which it may; an admin needs none.
    const by = session?.role === 'agent' && label !== null ? { slot, label } : { slot };
    openDrive({ client: gateway.client(), place: place.current, by, lost }).then((opened) => {
      drive.current = opened;
      if (isOver) return giveBack();
      setReady(true);
    }, lost);
    return () => {
      isOver = true;
      keyboard.giveBack = null;
      giveBack();
    };
  }, []);
  return (
    <>
      <div class="strip driving" role="status">
        <b>{isReady ? 'You are driving' : 'Taking over…'}</b>
        <span>What you type goes to {slot}. Its agent has been told, and waits.</span>
        <button type="button" onClick={stop}>
          Give back <kbd>Ctrl Shift L</kbd>
        </button>
      </div>
      <div class="stage-frame driving">
        <div class="layer drive-place" ref={place} />
      </div>
    </>
  );
}
