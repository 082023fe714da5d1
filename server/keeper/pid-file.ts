// A file that names the process which holds something: one at a time, and a process that is dead holds nothing.
// On a disk that is full to its last byte it is taken all the same from one that is dead: what lives in the slots waits for a gateway.
import {
  closeSync,
  ftruncateSync,
  linkSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';

/** Takes the file for this process; null when another living one has it. `close` gives it back. */
export function takePidFile(file: string): { close(): void } | null {
  const draft = `${file}.${process.pid}`;
  const own = `${process.pid} ${startTime(process.pid)}\n`;
  rmSync(draft, { force: true });
  try {
    if (!write(draft, own) && !writeOver({ file, draft, own })) return null;
    if (!take(file, draft)) return null;
  } finally {
    rmSync(draft, { force: true });
  }
  return {
    close: () => {
      if (contentOf(file) === own) rmSync(file, { force: true });
    },
  };
}

/** The living process that holds the file; null when there is none. */
export function holderOf(file: string): number | null {
  const [pid, started] = (contentOf(file) ?? '').trim().split(' ');
  return pid !== undefined && started !== undefined && startTime(Number(pid)) === started ? Number(pid) : null;
}

/** false when the disk is full. */
function write(draft: string, own: string): boolean {
  try {
    writeFileSync(draft, own, { mode: 0o600, flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
    return false;
  }
}

/** Makes the draft of the file that a dead process has left, whose bytes are on the disk already. false when a living one has it. */
function writeOver({
  file,
  draft,
  own,
}: {
  readonly file: string;
  readonly draft: string;
  readonly own: string;
}): boolean {
  if (holderOf(file) !== null) return false;
  try {
    renameSync(file, draft);
  } catch (error) {
    // Without such a file there is no room for ours.
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    throw Object.assign(new Error(`the disk is full: there is no room for ${file}`), { code: 'ENOSPC' });
  }
  if (holderOf(draft) !== null) {
    // Another one has taken it since.
    linkSync(draft, file);
    return false;
  }
  const open = openSync(draft, 'r+');
  try {
    writeSync(open, own);
    ftruncateSync(open, own.length);
  } finally {
    closeSync(open);
  }
  return true;
}

function take(file: string, draft: string): boolean {
  for (let attempt = 0; attempt < 3; attempt++) {
    try {
      linkSync(draft, file);
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const stale = contentOf(file);
    if (holderOf(file) !== null) return false;
    putAside(file, stale, `${draft}.old`);
  }
  return false;
}

/** Another one may have put it aside too, and have taken the file since: that one's is put back. */
function putAside(file: string, stale: string | null, aside: string): void {
  try {
    renameSync(file, aside);
    if (contentOf(aside) !== stale) linkSync(aside, file);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOENT' && code !== 'EEXIST') throw error;
  } finally {
    rmSync(aside, { force: true });
  }
}

function contentOf(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return null;
  }
}

/** When the process started, in ticks since boot: a number that a later process with the same pid does not have. null when there is none. */
function startTime(pid: number): string | null {
  const stat = contentOf(`/proc/${pid}/stat`);
  if (stat === null) return null;
  // The name, in parentheses, may hold anything; field 22 is the twentieth after it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' || fields[0] === 'X' ? null : (fields[19] ?? null);
}
