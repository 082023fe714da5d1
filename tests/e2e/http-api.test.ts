// The HTTP API of the sandbox server that came before, line by line, as its strict clients read it: shapes, statuses, texts, caps and content types.
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { startGateway, type TestGateway, until } from '../support/gateway.ts';

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startGateway('--http-api', 'open');
});
afterAll(async () => {
  await gateway.close();
});

type Json = Record<string, unknown>;
interface Tool {
  success: boolean;
  output: string;
  error: string;
  execution_id: string | null;
  metadata: Json;
}

async function post(path: string, body: unknown, headers: Record<string, string> = {}) {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const answer = await fetch(`${gateway.url}${path}`, {
    method: 'POST',
    body: text,
    headers: { 'content-type': 'application/json', ...headers },
  });
  expect(answer.headers.get('content-type')).toBe('application/json; charset=utf-8');
  return { status: answer.status, body: (await answer.json()) as Json };
}

async function get(path: string): Promise<Json> {
  const answer = await fetch(`${gateway.url}${path}`);
  expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'application/json; charset=utf-8']);
  return (await answer.json()) as Json;
}

/** A tool on slot_0; every answer has exactly the five fields. */
async function tool(name: string, args: Json, more: Json = {}): Promise<Tool> {
  const { status, body } = await post('/execute', { slot_id: 'slot_0', tool: name, args, ...more });
  expect(status).toBe(200);
  expect(Object.keys(body).sort()).toEqual(['error', 'execution_id', 'metadata', 'output', 'success']);
  return body as unknown as Tool;
}

const reset = (slot = 'slot_0') => post('/reset', { slot_id: slot });
afterEach(async () => {
  await reset();
});

describe('POST /execute', () => {
  test('answers a tool with exactly five fields, execution_id null unless it was given', async () => {
    expect(await tool('bash', { command: 'echo hi' })).toEqual({
      success: true,
      output: 'hi',
      error: '',
      execution_id: null,
      metadata: { exit_code: 0, sandboxed: true, network_isolated: true },
    });
    expect((await tool('bash', { command: 'echo hi' }, { execution_id: 'e1' })).execution_id).toBe('e1');
  });

  test('an unknown tool and an unknown slot are failed tools', async () => {
    expect(await tool('nope', {})).toMatchObject({ success: false, error: 'Unknown tool: nope', output: '' });
    expect(await tool('constructor', {})).toMatchObject({ success: false, error: 'Unknown tool: constructor' });
    const { status, body } = await post('/execute', { slot_id: 'slot_99', tool: 'bash', args: { command: 'true' } });
    expect([status, body['error'], body['success']]).toEqual([200, 'Unknown slot: slot_99', false]);
  });

  test('what is no JSON is 400, an array or args that are no object 500', async () => {
    expect(await post('/execute', '{"slot_id":')).toEqual({
      status: 400,
      body: { success: false, error: 'Invalid JSON' },
    });
    for (const body of [
      [],
      { slot_id: 'slot_0', tool: 'bash', args: [] },
      { slot_id: 'slot_0', tool: 'bash', args: 'x' },
    ]) {
      const { status, body: answer } = await post('/execute', body);
      expect(status).toBe(500);
      expect(Object.keys(answer).sort()).toEqual(['error', 'success']);
      expect(answer['success']).toBe(false);
    }
  });

  test('no content type is asked for', async () => {
    const answer = await fetch(`${gateway.url}/execute`, {
      method: 'POST',
      body: Buffer.from(JSON.stringify({ slot_id: 'slot_0', tool: 'bash', args: { command: 'echo raw' } })),
    });
    expect(await answer.json()).toMatchObject({ success: true, output: 'raw' });
  });
});

describe('the tool bash', () => {
  test('joins stdout and stderr, and gives either alone', async () => {
    expect((await tool('bash', { command: 'echo out; echo err >&2' })).output).toBe('out\n[stderr]\nerr');
    expect((await tool('bash', { command: 'echo err >&2' })).output).toBe('err');
    expect((await tool('bash', { command: 'true' })).output).toBe('');
  });

  test('strips blanks around it, but keeps the indentation of the first line', async () => {
    expect((await tool('bash', { command: 'printf "\\n\\n  a\\n    b  \\n\\n"' })).output).toBe('  a\n    b');
  });

  test('a failure has its code as text and number', async () => {
    expect(await tool('bash', { command: 'echo no; exit 3' })).toEqual({
      success: false,
      output: 'no',
      error: 'Exit code: 3',
      execution_id: null,
      metadata: { exit_code: 3, sandboxed: true, network_isolated: true },
    });
    expect((await tool('bash', { command: 'kill -9 $$' })).metadata['exit_code']).toBe(137);
  });

  test('each stream is cut at 50,000 characters, whatever their bytes', async () => {
    const { output } = await tool('bash', { command: `printf 'a%.0s' $(seq 60000); printf 'b%.0s' $(seq 50000) >&2` });
    expect(output).toBe(`${'a'.repeat(50_000)}\n... (output truncated)\n[stderr]\n${'b'.repeat(50_000)}`);
    const wide = await tool('bash', { command: `perl -CS -e 'print "\\x{1F600}" x 50001'` });
    expect(wide.output).toBe(`${'\u{1F600}'.repeat(50_000)}\n... (output truncated)`);
    const long = await tool('bash', { command: 'yes 0123456789 | head -c 5000000' });
    expect(long.output).toBe(`${'0123456789\n'.repeat(4546).slice(0, 50_000)}\n... (output truncated)`);
  });

  test('a timeout says how long, as the number was sent, and keeps what was printed', async () => {
    const timedOut = async (timeout: string) => {
      const body = `{"slot_id":"slot_0","tool":"bash","args":{"command":"echo part; sleep 20"},"timeout":${timeout}}`;
      return (await post('/execute', body)).body;
    };
    expect(await timedOut('1.0')).toEqual({
      success: false,
      output: 'part',
      error: 'Command timed out after 1.0s',
      execution_id: null,
      metadata: { exit_code: -1, timeout: true, sandboxed: true, network_isolated: true },
    });
    expect((await timedOut('1'))['error']).toBe('Command timed out after 1s');
    expect((await timedOut('0.5'))['error']).toBe('Command timed out after 0.5s');
  });

  test('timeout null is none', async () => {
    expect(await tool('bash', { command: 'sleep 0.1; echo late' }, { timeout: null })).toMatchObject({
      output: 'late',
    });
  });

  test('an output that looks like a failure of the sandbox is an output', async () => {
    const said = 'bwrap: No permissions to create new namespace';
    const ran = await tool('bash', { command: `echo ran >>times; echo "${said}" >&2; exit 1` });
    expect(ran).toMatchObject({ output: said, error: 'Exit code: 1', metadata: { sandboxed: true } });
    expect((await tool('read_file', { path: 'times' })).output).toBe('ran\n');
  });

  test('without network it says so, whatever was allowed', async () => {
    for (const allow_network of [true, false]) {
      const { metadata } = await tool('bash', { command: 'true', allow_network, require_sandbox: true });
      expect(metadata).toMatchObject({ network_isolated: true, sandboxed: true });
    }
  });

  test('it is bash', async () => {
    expect((await tool('bash', { command: 'a=(1 2 3); echo "${#a[@]} ${BASH_VERSION:+bash}"' })).output).toBe('3 bash');
  });
});

describe('the tool bash_stateful', () => {
  test('keeps directory, variables and jobs from call to call', async () => {
    await tool('bash_stateful', { command: 'mkdir -p sub; cd sub; X=kept; sleep 100 &' });
    expect(await tool('bash_stateful', { command: 'pwd; echo $X; jobs %1 | grep -c Running' })).toEqual({
      success: true,
      output: '/workspace/sub\nkept\n1',
      error: '',
      execution_id: null,
      metadata: { stateful: true, exit_code: 0, sandboxed: true, network_isolated: true },
    });
  });

  test.each([
    ['a comment', 'echo one # two', 'one'],
    ['a job', 'sleep 0.01 & echo started', 'started'],
    ['a heredoc', 'cat <<X\nline\nX', 'line'],
    ['a long one', `echo ${'x'.repeat(8000)}`, 'x'.repeat(8000)],
    ['one that reads', 'cat; echo read', 'read'],
  ])('%s ends properly', async (_what, command, output) => {
    const ran = await tool('bash_stateful', { command });
    expect(ran.output.split('\n').at(-1)).toContain(output);
    expect(ran.metadata['exit_code']).toBe(0);
  });

  test('exit ends with its code, and the next command has a shell', async () => {
    expect(await tool('bash_stateful', { command: 'exit 3' })).toMatchObject({ error: 'Exit code: 3', success: false });
    expect(await tool('bash_stateful', { command: 'echo back' })).toMatchObject({ output: 'back', success: true });
  });

  test('a timeout keeps what was printed and the session', async () => {
    await tool('bash_stateful', { command: 'Y=still' });
    const late = await tool('bash_stateful', { command: 'echo part; sleep 50' }, { timeout: 1 });
    expect(late).toMatchObject({ success: false, output: 'part', error: 'Command timed out after 1s' });
    expect(late.metadata).toMatchObject({ exit_code: -1, timeout: true, sandboxed: true, stateful: true });
    expect((await tool('bash_stateful', { command: 'echo $Y' })).output).toBe('still');
  });

  test('an empty command is Missing command', async () => {
    expect(await tool('bash_stateful', { command: '' })).toMatchObject({ success: false, error: 'Missing command' });
    expect(await tool('bash_stateful', {})).toMatchObject({ success: false, error: 'Missing command' });
  });

  test('other calls are answered while it runs', async () => {
    const running = tool('bash_stateful', { command: 'sleep 3; echo over' });
    await until('it runs', async () => ((await get('/slots'))['slots'] as Json[])[0]?.['state'] === 'executing');
    expect((await tool('bash', { command: 'echo meanwhile' })).output).toBe('meanwhile');
    expect((await tool('tmux', { action: 'capture' })).success).toBe(true);
    expect((await running).output).toBe('over');
  });
});

describe('the tools read_file and write_file', () => {
  test('write makes parents and counts bytes, read gives them back', async () => {
    expect(await tool('write_file', { path: 'a/b/ü.txt', content: 'zwölf\n' })).toEqual({
      success: true,
      output: 'Successfully wrote 7 bytes to a/b/ü.txt',
      error: '',
      execution_id: null,
      metadata: { path: 'a/b/ü.txt', size: 7 },
    });
    expect(await tool('read_file', { path: 'a/b/ü.txt' })).toEqual({
      success: true,
      output: 'zwölf\n',
      error: '',
      execution_id: null,
      metadata: { path: 'a/b/ü.txt', size: 7 },
    });
  });

  test.each([
    ['none', 'File not found: none'],
    ['.', 'Not a file: .'],
    ['../x', 'Access denied: path outside workspace'],
    ['/etc/passwd', 'Access denied: path outside workspace'],
    ['link', 'Access denied: path outside workspace'],
    ['large', 'File too large: 100001 bytes (max 100000)'],
  ])('read_file of %s fails', async (path, error) => {
    await tool('bash', { command: 'ln -s /etc/passwd link; head -c 100001 /dev/zero >large' });
    expect(await tool('read_file', { path })).toMatchObject({ success: false, error, output: '' });
  });

  test('write_file has its cap in bytes', async () => {
    const tooLarge = await tool('write_file', { path: 'f', content: 'ü'.repeat(50_001) });
    expect(tooLarge).toMatchObject({ success: false, error: 'Content too large: 100002 bytes (max 100000)' });
    expect((await tool('write_file', { path: 'f', content: 'x'.repeat(100_000) })).success).toBe(true);
  });
});

describe('the tool tmux', () => {
  const tmux = (action: string, args: Json = {}, more: Json = {}) => tool('tmux', { action, ...args }, more);

  test('start, keys that wait for the prompt, capture, stop', async () => {
    const started = await tmux('start', { pane_width: 100, pane_height: 30 });
    expect(started).toMatchObject({
      success: true,
      output: 'started',
      metadata: { stateful: true, pane_width: 100, pane_height: 30 },
    });
    for (const name of ['socket', 'session', 'recording']) expect(typeof started.metadata[name]).toBe('string');
    expect(await tmux('send_keys', { keys: 'stty size; sleep 0.3; echo do""ne', block: true })).toMatchObject({
      output: 'ok',
      metadata: { stateful: true, blocked: true },
    });
    const captured = await tmux('capture');
    expect(captured.output).toContain('30 100\ndone');
    expect(captured.metadata).toEqual({ stateful: true, capture_entire: false });
    expect(await tmux('stop')).toMatchObject({ output: 'stopped', metadata: { stateful: true } });
  });

  test('capture is the action that is meant when none is named, and starts the session', async () => {
    expect((await tool('tmux', {})).output).toContain('$');
  });

  test('sizes are clamped', async () => {
    expect((await tmux('start', { pane_width: 5, pane_height: 1000 })).metadata).toMatchObject({
      pane_width: 20,
      pane_height: 200,
    });
  });

  test('keys as a list are keys by name, all else is typed', async () => {
    await tmux('send_keys', { keys: ['echo a b', 'Enter'], block: true });
    await tmux('send_keys', { keys: ['cat', 'Enter', 'typed', 'C-d', 'C-d'], min_wait_s: 0.1 });
    await until('it is over', async () => (await tmux('capture')).output.includes('typed'));
    expect((await tmux('capture')).output).toContain('a b');
  });

  test('a blocking call ends after max_wait_s', async () => {
    const began = performance.now();
    expect(await tmux('send_keys', { keys: 'sleep 30', block: true, max_wait_s: 0.5 })).toMatchObject({ output: 'ok' });
    expect(performance.now() - began).toBeLessThan(10_000);
  });

  test('the whole history, and no more bytes than asked for', async () => {
    await tmux('send_keys', { keys: 'seq 300', block: true });
    expect((await tmux('capture', { capture_entire: true })).output).toContain('\n1\n2\n3\n');
    expect((await tmux('capture')).output).not.toContain('\n1\n2\n3\n');
    expect(Buffer.byteLength((await tmux('capture', { capture_entire: true, max_bytes: 50 })).output)).toBeLessThan(51);
  });

  test('an unknown action is a failure', async () => {
    expect(await tmux('explode')).toMatchObject({ success: false, error: 'Unknown tmux action: explode' });
  });

  test('stream gives whole lines of asciicast v2 since the last call, the header first', async () => {
    await tmux('send_keys', { keys: 'echo fi""rst', block: true });
    const first = await tmux('stream');
    const lines = first.output
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines[0]).toMatchObject({ version: 2, width: 120, height: 40 });
    for (const [time, code, data] of lines.slice(1)) {
      expect([typeof time, typeof code, typeof data]).toEqual(['number', 'string', 'string']);
    }
    expect(
      lines
        .slice(1)
        .map(([, , data]) => data)
        .join(''),
    ).toContain('first');
    expect(first.metadata).toMatchObject({ stateful: true, stream: true });
    expect((await tmux('stream')).output).toBe('');
    await tmux('send_keys', { keys: 'echo seco""nd', block: true });
    const second = (await tmux('stream')).output;
    expect(second).toContain('second');
    expect(second).not.toContain('version');
    const again = await tmux('stream', { reset: true });
    expect(again.output.startsWith(first.output)).toBe(true);
  });

  test('a reader that names its offset takes nothing from the others', async () => {
    await tmux('send_keys', { keys: 'echo sha""red', block: true });
    const own = await tmux('stream', { offset: 0 });
    expect(own.output).toContain('shared');
    expect((await tmux('stream', { offset: own.metadata['offset'] })).output).toBe('');
    expect((await tmux('stream')).output).toBe(own.output);
    expect((await tmux('stream', { offset: 0, max_bytes: 300 })).output.length).toBeLessThan(301);
  });
});

describe('POST /batch', () => {
  test('answers in the order asked, slots side by side, one slot in order', async () => {
    const order = (slot: number, command: string) => ({ slot_id: `slot_${slot}`, tool: 'bash', args: { command } });
    const began = performance.now();
    const { status, body } = await post('/batch', [
      order(0, 'sleep 2; echo a >>f; cat f'),
      order(1, 'sleep 2; echo other'),
      order(0, 'echo b >>f; cat f'),
      order(2, 'sleep 2; echo third'),
    ]);
    expect(status).toBe(200);
    expect((body as unknown as Tool[]).map(({ output }) => output)).toEqual(['a', 'other', 'a\nb', 'third']);
    // One after the other they sleep for 6 s.
    expect(performance.now() - began).toBeLessThan(5900);
    await Promise.all(['slot_1', 'slot_2'].map(reset));
  });

  test('nothing gives nothing, and what is no array is 400', async () => {
    expect(await post('/batch', [])).toEqual({ status: 200, body: [] });
    expect(await post('/batch', {})).toEqual({
      status: 400,
      body: { success: false, error: 'Expected array of requests' },
    });
    expect(await post('/batch', '[')).toEqual({ status: 400, body: { success: false, error: 'Invalid JSON' } });
  });
});

describe('the same execution sent again', () => {
  test('while it runs it joins, afterwards it gets the stored result', async () => {
    const order = {
      slot_id: 'slot_0',
      tool: 'bash',
      args: { command: 'echo ran >>times; sleep 0.5; cat times' },
      execution_id: 'once',
    };
    const both = await Promise.all([post('/execute', order), post('/execute', order)]);
    const third = await post('/execute', order);
    expect([...both, third].map(({ body }) => body['output'])).toEqual(['ran', 'ran', 'ran']);
  });

  test('a cut connection does not stop it', async () => {
    const order = {
      slot_id: 'slot_0',
      tool: 'bash',
      args: { command: 'sleep 0.7; echo ran >>times; cat times' },
      execution_id: 'cut',
    };
    const cut = AbortSignal.timeout(300);
    await expect(
      fetch(`${gateway.url}/execute`, { method: 'POST', body: JSON.stringify(order), signal: cut }),
    ).rejects.toThrow();
    expect((await post('/execute', order)).body['output']).toBe('ran');
  });

  test('the same name for another order is another execution', async () => {
    const named = (command: string) => tool('bash', { command }, { execution_id: 'same' });
    expect([(await named('echo 1')).output, (await named('echo 2')).output]).toEqual(['1', '2']);
  });
});

describe('GET /health and /slots', () => {
  test('have their fields, and tell what runs', async () => {
    expect(await get('/health')).toEqual({
      status: 'ok',
      slots: 4,
      available: 4,
      executing: 0,
      data_dir: gateway.dataDir,
      bwrap_available: true,
      stateful_dir: expect.any(String),
    });
    const running = tool('bash', { command: 'sleep 1' }, { execution_id: 'seen' });
    await until('it is seen', async () => (await get('/health'))['executing'] === 1);
    expect(await get('/slots')).toMatchObject({
      slots: [
        { slot_id: 'slot_0', state: 'executing', workspace_dir: '/workspace', current_execution_id: 'seen' },
        { slot_id: 'slot_1', state: 'available', workspace_dir: '/workspace', current_execution_id: null },
        {},
        {},
      ],
    });
    await running;
  });
});

describe('POST /reset', () => {
  test('empties the workspace and ends the session', async () => {
    await tool('write_file', { path: 'f', content: 'x' });
    await tool('bash_stateful', { command: 'Z=1; ln -s / root' });
    expect(await reset()).toEqual({
      status: 200,
      body: { success: true, output: 'Reset workspace for slot_0', error: '', execution_id: null, metadata: {} },
    });
    expect((await tool('bash', { command: 'ls -A' })).output).toBe('');
    expect((await tool('bash_stateful', { command: 'echo "[$Z]"' })).output).toBe('[]');
  });

  test('an unknown slot is a failed reset, and what is no JSON 400', async () => {
    expect(await reset('slot_77')).toMatchObject({
      status: 200,
      body: { success: false, error: 'Unknown slot: slot_77' },
    });
    expect(await post('/reset', 'x')).toEqual({ status: 400, body: { success: false, error: 'Invalid JSON' } });
  });
});

describe('POST /artifacts', () => {
  const artifact = (what: string, body: Json) => post(`/artifacts/${what}`, { slot_id: 'slot_0', ...body });

  test('read gives text or base64, cut where asked, with a hash where asked', async () => {
    await tool('write_file', { path: 'd/f.txt', content: 'hello' });
    expect(await artifact('read', { path: 'd/f.txt' })).toEqual({
      status: 200,
      body: {
        ...{ success: true, content: 'hello', encoding: 'text', truncated: false, bytes: 5, file_size: 5 },
        ...{ path: 'd/f.txt', mime: 'text/plain', sha256: null },
      },
    });
    const cut = await artifact('read', { path: 'd/f.txt', encoding: 'base64', max_bytes: 2, include_sha256: true });
    expect(cut.body).toMatchObject({ content: 'aGU=', encoding: 'base64', truncated: true, bytes: 2, file_size: 5 });
    expect(cut.body['sha256']).toBe('2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824');
  });

  test('list gives what is there, and says when it was too much', async () => {
    await tool('bash', { command: 'mkdir -p d/e; echo 1 >d/f; touch -d @1000000000.5 d/f' });
    expect((await artifact('list', { path: 'd' })).body).toEqual({
      success: true,
      entries: [
        { path: 'd/e', is_dir: true, size: expect.any(Number), mtime: expect.any(Number) },
        { path: 'd/f', is_dir: false, size: 2, mtime: 1_000_000_000.5 },
      ],
      truncated: false,
    });
    expect((await artifact('list', { recursive: true, max_entries: 2 })).body).toMatchObject({ truncated: true });
  });

  test('archive packs, and says when it is too large', async () => {
    await tool('bash', { command: 'mkdir d; echo 1 >d/f; head -c 300000 /dev/urandom >big' });
    const { body } = await artifact('archive', { path: 'd', format: 'tgz' });
    expect(body).toMatchObject({ success: true, encoding: 'base64', format: 'tar.gz', entry_count: 1 });
    expect(Buffer.from(String(body['content']), 'base64').length).toBe(body['bytes']);
    const large = await artifact('archive', { max_bytes: 1000 });
    expect(large.status).toBe(413);
    expect(large.body).toEqual({
      success: false,
      error: `Archive too large: ${large.body['bytes']} bytes (max 1000)`,
      bytes: expect.any(Number),
    });
    expect(large.body['bytes']).toBeGreaterThan(1000);
  });

  test.each([
    ['read', { path: '.' }, 400, 'Not a file: .'],
    ['read', { path: 'none' }, 404, 'Not found: none'],
    ['read', { path: '../x' }, 403, 'Access denied: path outside workspace'],
    ['read', { path: 'f', encoding: 'hex' }, 400, 'Unsupported encoding: hex'],
    ['read', { slot_id: 'slot_9', path: 'f' }, 404, 'Unknown slot: slot_9'],
    ['list', { path: 'none' }, 404, 'Not found: none'],
    ['list', { path: '/etc' }, 403, 'Access denied: path outside workspace'],
    ['archive', { path: 'none' }, 404, 'Not found: none'],
    ['archive', { format: 'rar' }, 400, 'Unsupported archive format: rar'],
  ])('%s of %j fails with %i', async (what, body, status, error) => {
    expect(await artifact(what, body)).toEqual({ status, body: { success: false, error } });
  });

  test('what is no JSON is 400', async () => {
    for (const what of ['read', 'list', 'archive']) {
      expect(await post(`/artifacts/${what}`, '{')).toEqual({
        status: 400,
        body: { success: false, error: 'Invalid JSON' },
      });
    }
  });
});

describe('beside the WebSocket', () => {
  test('a slot that is leased there is refused here, and the other way round', async () => {
    const client = await gateway.client();
    const slot = await client.acquire({ slot: 'slot_0' });
    const refused = await tool('bash', { command: 'true' });
    expect(refused).toMatchObject({ success: false, output: '' });
    expect(refused.error).toContain('slot_0 is driven over a WebSocket');
    expect((await reset()).body).toMatchObject({ success: false });
    expect((await post('/artifacts/list', { slot_id: 'slot_0' })).status).toBe(409);
    expect(((await get('/slots'))['slots'] as Json[])[0]).toMatchObject({ state: 'executing' });
    await slot.release();
    expect((await tool('bash', { command: 'echo free' })).output).toBe('free');
    await expect(client.acquire({ slot: 'slot_0' })).rejects.toMatchObject({ fault: 'SLOT_BUSY' });
    await reset();
    await (await client.acquire({ slot: 'slot_0' })).release();
  });

  test('what happens over HTTP is recorded, with chapters', async () => {
    await tool('bash', { command: 'echo chapter' });
    await tool('bash_stateful', { command: 'echo seen' });
    const client = await gateway.client();
    const { cast } = await client.call('slot.info', { slot: 'slot_0' });
    const { markers } = await client.cast.info(cast ?? '');
    expect(markers.map(({ command }) => command)).toEqual(['echo chapter', 'echo seen']);
  });

  test('a person takes over, and HTTP goes on after the slot is given back', async () => {
    await tool('bash_stateful', { command: 'A=mine' });
    const person = await (await gateway.client()).takeover({ slot: 'slot_0' });
    expect(await tool('bash', { command: 'true' })).toMatchObject({ success: false });
    await person.giveBack();
    expect((await tool('bash_stateful', { command: 'echo $A' })).output).toBe('mine');
  });
});

describe('with --sandbox none', () => {
  let bare: TestGateway;
  beforeAll(async () => {
    bare = await startGateway('--http-api', 'open', '--sandbox', 'none');
  });
  afterAll(async () => {
    await bare.close();
  });

  test.each([
    ['bash', { command: 'true', require_sandbox: true }],
    ['bash_stateful', { command: 'true', require_stateful_sandbox: true }],
    ['tmux', { action: 'capture', require_stateful_sandbox: true }],
  ])('%s that requires a sandbox runs nothing, and without that says that there was none', async (name, args) => {
    const answer = async (given: Json) =>
      (await (
        await fetch(`${bare.url}/execute`, {
          method: 'POST',
          body: JSON.stringify({ slot_id: 'slot_0', tool: name, args: given }),
        })
      ).json()) as Tool;
    expect(await answer(args)).toMatchObject({ success: false, error: expect.stringContaining('sandbox') });
    const { require_sandbox: _, require_stateful_sandbox: __, ...free } = args as Json;
    const ran = await answer(free);
    expect(ran.success).toBe(true);
    if (name !== 'tmux') expect(ran.metadata).toMatchObject({ sandboxed: false, network_isolated: false });
  });
});

test('stop does not start a session', async () => {
  expect(await tool('tmux', { action: 'stop' })).toMatchObject({ success: true, output: 'stopped' });
  const client = await gateway.client();
  expect((await client.call('slot.info', { slot: 'slot_0' })).terminal).toBe(null);
});
