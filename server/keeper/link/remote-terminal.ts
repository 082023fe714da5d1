// A terminal of the keeper as the gateway sees it: what is typed crosses the link, what it prints comes by the frame log.
// Who has its foreground the gateway asks the kernel itself.
import type { Limit, SignalName } from '../../../protocol/exec.ts';
import { Fault } from '../../../protocol/fault.ts';
import { Foreground } from '../foreground.ts';
import type { Answered, KeptTerminal, TerminalEnd, TerminalPids } from '../keeper.ts';
import type { WireTerminal } from './contract.ts';
import type { MirrorLog } from './mirror-log.ts';
import type { RemoteLink } from './remote-link.ts';

export class RemoteTerminal implements KeptTerminal {
  readonly pids: TerminalPids;
  readonly ended: Promise<TerminalEnd>;
  readonly handle: number;
  readonly #link: RemoteLink;
  readonly #log: MirrorLog;
  readonly #foreground: Foreground;
  #over = false;
  #settle: (end: TerminalEnd) => void = () => undefined;

  constructor(link: RemoteLink, log: MirrorLog, wire: WireTerminal) {
    this.#link = link;
    this.#log = log;
    this.handle = wire.handle;
    this.pids = wire.pids;
    this.#foreground = new Foreground(wire.pids);
    this.ended = new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  async write(data: string): Promise<void> {
    if (this.#over) return;
    await this.#link.callUnless('writeTerminal', { terminal: this.handle, data }, () => {
      throw new Fault(
        'TERMINAL_ENDED',
        'The keeper died while this was typed, and the terminal with it: whether it was read nobody knows.',
      );
    });
  }

  async writeUntil(data: string, until: string): Promise<Answered | null> {
    if (this.#over) return null;
    return await this.#link.call('writeTerminalUntil', { terminal: this.handle, data, until });
  }

  answer(data: string): void {
    if (!this.#over) this.#link.tell('answerTerminal', { terminal: this.handle, data });
  }

  resize(cols: number, rows: number): void {
    if (!this.#over) this.#link.tell('resizeTerminal', { terminal: this.handle, cols, rows });
  }

  foreground(): 'shell' | 'job' | null {
    return this.#over ? null : this.#foreground.owner();
  }

  signalForeground(name: SignalName): void {
    if (!this.#over) this.#link.tell('signalTerminal', { terminal: this.handle, name });
  }

  async struck(): Promise<Limit | undefined> {
    return (await this.#link.call('struckTerminal', { terminal: this.handle }).catch(() => null)) ?? undefined;
  }

  async kill(limit?: Limit): Promise<void> {
    if (!this.#over) await this.#link.call('killTerminal', { terminal: this.handle, limit }).catch(() => null);
    await this.ended;
  }

  /** Once; `seq`: the last frame that it made, which is waited for. */
  finish(exitCode: number | null, seq: number): void {
    this.#over = true;
    void this.#log.reached(seq).then(() => this.#settle({ exitCode }));
  }

  /** The keeper died, and the terminal with it. */
  lose(): void {
    this.#over = true;
    this.#settle({ exitCode: null, lost: true });
  }
}
