// Keys for as long as a part of the page is on the screen.
import { useLayoutEffect, useRef } from 'preact/hooks';
import { useApp } from '../context.ts';
import type { KeyBinding } from './keyboard.ts';

export function useKeys(bindings: readonly KeyBinding[]): void {
  const { keyboard } = useApp();
  const newest = useRef(bindings);
  newest.current = bindings;
  useLayoutEffect(() => keyboard.add(() => newest.current), [keyboard]);
}
