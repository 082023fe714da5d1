// Plays a recording with the asciinema CLI, which wants a terminal of its own, as fast as it can.
import { execFileSync } from 'node:child_process';

export function playByAsciinema(file: string, home: string): string {
  const env = { ...process.env, LC_ALL: 'C.UTF-8', TERM: 'xterm-256color', ASCIINEMA_CONFIG_HOME: home };
  return execFileSync('script', ['-qec', `asciinema play -s 1000 -i 0.01 ${file}`, '/dev/null'], { env }).toString();
}
