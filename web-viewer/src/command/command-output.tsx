// What a command printed, as text and never as markup. Asked for when somebody opens it, and again when it has ended.
import { useEffect, useState } from 'preact/hooks';
import type { Result } from '../../../client/index.ts';
import { useApp } from '../context.ts';
import { size } from '../text/time.ts';
import { plainOutput } from '../text/visible.ts';

export interface CommandOutputProps {
  readonly cast: string;
  readonly process: string;
  readonly isRunning: boolean;
}

type Output = Result<'cast.output'>;

/** While it runs the output is read again this often. */
const AGAIN_MS = 1000;

export function CommandOutput({ cast, process, isRunning }: CommandOutputProps) {
  const { gateway } = useApp();
  const [output, setOutput] = useState<Output | null>(null);
  const [problem, setProblem] = useState<Error | null>(null);
  useEffect(() => {
    let isOver = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const read = async (): Promise<void> => {
      try {
        const client = await gateway.client();
        const read = await client.call('cast.output', { cast, process });
        if (isOver) return;
        setOutput(read);
        setProblem(null);
      } catch (error) {
        if (!isOver) setProblem(error instanceof Error ? error : new Error(String(error)));
      }
      if (isRunning && !isOver) timer = setTimeout(() => void read(), AGAIN_MS);
    };
    void read();
    return () => {
      isOver = true;
      clearTimeout(timer);
    };
  }, [gateway, cast, process, isRunning]);
  if (problem !== null) return <p class="hint">{problem.message}</p>;
  if (output === null) return <p class="hint">Reading…</p>;
  const { stdout, stderr } = output;
  const isEmpty = stdout === '' && stderr === '';
  return (
    <>
      {isEmpty && <p class="hint">{isRunning ? 'It has printed nothing yet.' : 'It printed nothing.'}</p>}
      {stdout !== '' && <pre class="output">{plainOutput(stdout)}</pre>}
      {stderr !== '' && (
        <pre class="output stderr" title="standard error">
          {plainOutput(stderr)}
        </pre>
      )}
      {output.truncated && (
        <p class="hint">Cut: more than {size(output.stdout.length + output.stderr.length)} were printed.</p>
      )}
    </>
  );
}
