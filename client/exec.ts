// exec: commands in the slot, each in a sandbox of its own. A non-zero exit, a signal and a timeout are results, not errors.
import type { Params, Result } from '../protocol/contract.ts';
import type { ExecExit, ProcessInfo } from '../protocol/exec.ts';
import type { Notified } from './lease.ts';
import { Process } from './process.ts';
import type { Caller, CallOptions } from './rpc.ts';

export class Exec {
  readonly #call: Caller;
  readonly #running = new Map<string, Process>();
  /** Of commands whose name is not known yet; only while a start is on its way. */
  readonly #unclaimed = new Map<string, Notified[]>();
  /** Whether commands run that were started before: what they print is kept for whoever asks for them. */
  readonly #adopts: boolean;
  #starting = 0;
  #resumes = 0;

  constructor(call: Caller, { adopts }: { readonly adopts: boolean }) {
    this.#call = call;
    this.#adopts = adopts;
  }

  /** Runs a command to its end: `{command: 'echo hi'}` under bash, or `{argv: ['echo', 'hi']}`. */
  async run(params: Params<'exec.run'>, options?: CallOptions): Promise<Result<'exec.run'>> {
    return await this.#call('exec.run', params, options);
  }

  /** Starts a command; unless told otherwise its output is streamed. */
  async start(params: Params<'exec.start'>, options?: CallOptions): Promise<Process> {
    const resumesBefore = this.#resumes;
    this.#starting++;
    try {
      let process: Process | null = null;
      const onReply = ({ process: id }: Result<'exec.start'>): void => {
        process = this.#claim(id);
      };
      const { process: id } = await this.#call('exec.start', { stream: true, ...params }, { ...options, onReply });
      process ??= this.#claim(id);
      if (this.#resumes !== resumesBefore) await this.#catchUp(process, params.encoding ?? 'utf8');
      return process;
    } finally {
      if (--this.#starting === 0) this.#unclaimed.clear();
    }
  }

  /** The commands of this lease, running and ended, oldest first. */
  async list(options?: CallOptions): Promise<readonly ProcessInfo[]> {
    return (await this.#call('exec.list', {}, options)).processes;
  }

  /** A command that was started before, by this client or an earlier one of the lease. Streams what was not received yet. */
  process(id: string): Process {
    const process = this.#running.get(id) ?? this.#claim(id);
    // It may have ended long ago.
    process.wait().then(
      ({ stdout: _, stderr: __, outcome, ...rest }) =>
        outcome !== 'running' && this.#end(process, { ...rest, outcome }),
      (error: Error) => process.fail(error),
    );
    return process;
  }

  /** For whoever receives notifications. */
  receive(notified: Notified): void {
    const id = 'output' in notified ? notified.output.process : notified.exit.process;
    const process = this.#running.get(id);
    if (process !== undefined) this.#deliver(process, notified);
    else if (this.#adopts) this.#deliver(this.#claim(id), notified);
    else if (this.#starting > 0) this.#unclaimed.set(id, [...(this.#unclaimed.get(id) ?? []), notified]);
  }

  resumed(): void {
    this.#resumes++;
    for (const process of this.#running.values()) process.resumed();
  }

  /** No notification will come any more. */
  fail(error: Error): void {
    for (const process of this.#running.values()) process.fail(error);
    this.#running.clear();
  }

  #claim(id: string): Process {
    const process = new Process(id, this.#call);
    this.#running.set(id, process);
    for (const notified of this.#unclaimed.get(id) ?? []) this.#deliver(process, notified);
    this.#unclaimed.delete(id);
    return process;
  }

  #deliver(process: Process, notified: Notified): void {
    if ('output' in notified) process.receive(notified.output);
    else this.#end(process, notified.exit);
  }

  #end(process: Process, exit: ExecExit): void {
    // Adopted ones stay for whoever asks for them.
    if (!this.#adopts) this.#running.delete(process.id);
    process.end(exit);
  }

  /** A command that ended while its name was not known here is not told of: its result is asked for. */
  async #catchUp(process: Process, encoding: 'utf8' | 'base64'): Promise<void> {
    // It has begun: that its end can't be asked for just now does not undo its start.
    const result = await process.wait({ timeoutMs: 0, encoding }).catch((error: Error) => process.fail(error));
    if (result === undefined || result.outcome === 'running' || !this.#running.has(process.id)) return;
    const { stdout, stderr, outcome, ...rest } = result;
    for (const [stream, data] of Object.entries({ stdout, stderr })) {
      if (data !== '') process.receive({ stream: stream as 'stdout' | 'stderr', data, offset: 0, encoding });
    }
    this.#end(process, { ...rest, outcome });
  }
}
