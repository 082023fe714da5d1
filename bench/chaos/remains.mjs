// What is left of the program on this machine when all of it should be gone. It looks, and removes nothing.
import { existsSync, readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { read } from './program.mjs';

const list = (directory) => (existsSync(directory) ? readdirSync(directory) : []);

/** Processes that have this name in their environment, arguments or mounts, or work in a place of that name. */
export function processesOf(word) {
  const mentions = (pid) => {
    if (['environ', 'cmdline'].some((name) => read(`/proc/${pid}/${name}`).includes(word))) return true;
    try {
      return readlinkSync(`/proc/${pid}/cwd`).includes(word);
    } catch {
      return false;
    }
  };
  return list('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid && mentions(name))
    .map((pid) => `${pid} ${read(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').slice(0, 150)}`);
}

/** Control groups of all gateways of this machine. */
export function groups() {
  const points = [...read('/proc/self/mountinfo').matchAll(/ (\S+) \S+(?: \S+)* - cgroup2? \S+ \S+$/gm)].map(
    ([, point]) => point,
  );
  const paths = read('/proc/self/cgroup')
    .split('\n')
    .map((line) => line.split(':')[2] ?? '');
  const dirs = new Set(points.flatMap((point) => ['', ...paths].map((path) => join(point, path))));
  return [
    ...new Set(
      [...dirs].flatMap((dir) =>
        list(dir)
          .filter((name) => name.startsWith('slotcast-'))
          .map((name) => join(dir, name)),
      ),
    ),
  ];
}

/** What stands in `home` beside the data directory, and what a data directory that nobody uses must not have. */
export function filesOf(home, dataDir) {
  const inUse = ['keeper.pid', 'keeper.sock', 'gateway.pid'].filter((name) => existsSync(join(dataDir, name)));
  const drafts = list(dataDir).filter((name) => /^(gateway|keeper)\.pid\./.test(name));
  const temporary = list(home).filter((name) => name !== 'data');
  const slots = list(join(dataDir, 'slots')).flatMap((slot) =>
    ['workspace', 'tmp'].flatMap((part) =>
      list(join(dataDir, 'slots', slot, part)).map((name) => join(slot, part, name)),
    ),
  );
  return [...inUse, ...drafts, ...temporary, ...slots];
}

export const mountsBelow = (directory) =>
  read('/proc/self/mountinfo')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .filter((point) => point.startsWith(`${directory}/`));
