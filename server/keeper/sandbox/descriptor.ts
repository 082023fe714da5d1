// Descriptors that this process inherited would go on to every child, since Node leaves them open across exec. They are closed once, at start-up.
import { closeSync, readdirSync, readFileSync } from 'node:fs';

/** O_CLOEXEC as fdinfo shows it, in octal. Node opens everything of its own with it. */
const CLOSE_ON_EXEC = 0o2000000;

/** Closes every descriptor above stderr that would survive an exec, but the channel to a parent Node process; returns their numbers. Call it once, before anything is spawned. */
export function closeInheritedDescriptors(): number[] {
  const channel = (process.channel as { fd?: number } | null | undefined)?.fd;
  const foreign = readdirSync('/proc/self/fd')
    .map(Number)
    .filter((fd) => fd > 2 && fd !== channel && survivesExec(fd));
  for (const fd of foreign) closeSync(fd);
  return foreign;
}

function survivesExec(fd: number): boolean {
  try {
    const flags = /^flags:\s+([0-7]+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1'))?.[1];
    return flags !== undefined && (Number.parseInt(flags, 8) & CLOSE_ON_EXEC) === 0;
  } catch {
    // The directory's own descriptor, gone by now.
    return false;
  }
}
