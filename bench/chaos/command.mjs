// The exec part of an agent in a chaos run: commands of every kind whose ends and output are known beforehand.
import { sleep } from './program.mjs';
import { isCut, lines, printer, sha256 } from './text.mjs';

/** What a line has at least: for sizes in bytes. */
const LINE_BYTES = 32;
const MAX_BYTES = 2 * 1024 * 1024;
const KEPT_BYTES = 4 * 1024 * 1024;
/** The command could not even write its line: the disk is full. */
const NOT_COUNTED = 99;
const SIGNALS = ['TERM', 'KILL', 'USR1', 'SEGV', 'HUP', 'ABRT'];

/** Runs one command of a random kind and checks all that is told of it. */
export async function runCommand(work) {
  const { random } = work;
  const kind = random.weighted([
    [6, plain],
    [4, long],
    [4, streamed],
    [2, withInput],
    [2, withKey],
    [2, endsItself],
    [2, timesOut],
    [2, isSignaled],
  ]);
  await kind(work);
}

function begin(work, { mostBytes = MAX_BYTES } = {}) {
  const { random } = work;
  const id = work.nextId('p');
  // Small ones mostly, as in life.
  const bytes = random.below(3) === 0 ? random.below(mostBytes) : random.below(Math.min(mostBytes, 20_000));
  const count = Math.floor(bytes / LINE_BYTES);
  return {
    id,
    count,
    sinceMs: performance.now(),
    exitCode: random.oneOf([0, 0, 1, 7, 42, 126, 137, 255]),
    mark: `echo ${id} >>/workspace/count || exit ${NOT_COUNTED}`,
    stdout: lines(id, count),
    encoding: random.oneOf(['utf8', 'utf8', 'base64']),
  };
}

const options = ({ encoding }) => ({ encoding, maxOutputBytes: KEPT_BYTES, timeoutMs: 120_000 });

async function plain(work) {
  const order = begin(work);
  order.command = `${order.mark}; ${printer(order.id, order.count)}; ${printer(`${order.id}e`, 20)} >&2; exit ${order.exitCode}`;
  order.stderr = lines(`${order.id}e`, 20);
  await told(work, order, (slot) => slot.exec.run({ command: order.command, ...options(order) }));
}

/** Longer than any fault. */
async function long(work) {
  const order = begin(work, { mostBytes: 300_000 });
  const seconds = work.random.between(2, 12);
  order.command = `${order.mark}; sleep ${seconds}; ${printer(order.id, order.count)}; exit ${order.exitCode}`;
  await told(work, order, (slot) => slot.exec.run({ command: order.command, ...options(order) }));
}

async function withInput(work) {
  const order = begin(work, { mostBytes: 500_000 });
  order.command = `${order.mark}; sleep 0.${work.random.below(10)}; cat; exit ${order.exitCode}`;
  await told(work, order, (slot) => slot.exec.run({ command: order.command, input: order.stdout, ...options(order) }));
}

/** Two calls with one key are one command, and a third one afterwards is still the same. */
async function withKey(work) {
  const order = begin(work, { mostBytes: 100_000 });
  order.command = `${order.mark}; sleep ${work.random.below(4)}; ${printer(order.id, order.count)}; exit ${order.exitCode}`;
  const call = (slot) => slot.exec.run({ command: order.command, key: `key-${order.id}`, ...options(order) });
  const [first, second] = await Promise.all([told(work, order, call), told(work, order, call)]);
  const third = work.random.below(2) === 0 ? await told(work, order, call) : first;
  const names = [first, second, third].filter((result) => result !== null).map(({ process }) => process);
  if (new Set(names).size > 1) work.wrong('twice', 'one key is more than one command', order, { got: names });
}

async function endsItself(work) {
  const order = begin(work, { mostBytes: 50_000 });
  order.outcome = 'signaled';
  order.signal = work.random.oneOf(SIGNALS);
  order.exitCode = null;
  order.command = `${order.mark}; ${printer(order.id, order.count)}; kill -${order.signal} $$; sleep 60`;
  await told(work, order, (slot) => slot.exec.run({ command: order.command, ...options(order) }));
}

async function timesOut(work) {
  const order = begin(work, { mostBytes: 1000 });
  order.outcome = 'timedOut';
  order.signal = 'KILL';
  order.exitCode = null;
  const timeoutMs = work.random.between(1000, 5000);
  order.command = `${order.mark}; ${printer(order.id, order.count)}; sleep 300`;
  await told(work, order, (slot) => slot.exec.run({ command: order.command, ...options(order), timeoutMs }));
}

async function streamed(work) {
  const order = begin(work);
  const slow = work.random.below(2) === 0;
  if (slow) order.count = Math.min(order.count, 3000);
  order.stdout = lines(order.id, order.count);
  order.command = `${order.mark}; ${printer(order.id, order.count, slow ? 2 : 0)}; exit ${order.exitCode}`;
  await told(work, order, async (slot) => await followed(work, order, await started(slot, order)));
}

async function isSignaled(work) {
  const order = begin(work, { mostBytes: 1000 });
  order.outcome = 'signaled';
  order.signal = 'TERM';
  order.exitCode = null;
  order.command = `${order.mark}; ${printer(order.id, order.count)}; echo begun >&2; sleep 300; exit 1`;
  order.stderr = 'begun\n';
  order.encoding = 'utf8';
  await told(work, order, async (slot) => {
    const process = await started(slot, order);
    const begun = (output) => output.stream === 'stderr' && void terminate(process);
    return await followed(work, order, process, begun);
  });
}

async function started(slot, order) {
  const process = await slot.exec.start({ command: order.command, ...options(order) });
  order.hasBegun = true;
  return process;
}

/** A signal is never sent twice by the client: who does not know whether it arrived sends it again. */
async function terminate(process) {
  for (let tries = 0; tries < 20; tries++) {
    try {
      return await process.signal('TERM');
    } catch (error) {
      if (error.fault === 'PROCESS_NOT_FOUND' || error.fault === 'LEASE_LOST') return;
      await sleep(300);
    }
  }
}

/** The streams as they come, put together: each byte once, in order. */
async function followed(work, order, process, listener = () => {}) {
  const got = { stdout: [], stderr: [] };
  const next = { stdout: 0, stderr: 0 };
  for await (const { stream, data, offset } of process) {
    listener({ stream, data });
    const bytes = Buffer.from(data, order.encoding === 'base64' ? 'base64' : 'utf8');
    if (offset !== next[stream])
      work.wrong('stream', `${stream} goes on at ${offset} instead of ${next[stream]}`, order);
    next[stream] = offset + bytes.length;
    got[stream].push(bytes);
  }
  const exit = await process.exit;
  const text = (stream) => Buffer.concat(got[stream]).toString(order.encoding);
  return { ...exit, stdout: text('stdout'), stderr: text('stderr'), isStreamed: true };
}

/** What the agent was told against what it had to be. */
async function told(work, order, call) {
  const { ledger } = work;
  ledger.add('commands');
  const { value: result, error } = await work.attempt(order, call);
  if (error !== undefined) {
    const meaning = work.excuse(error, order);
    work.note(order.id, order.hasBegun ? 'unsure' : meaning);
    return null;
  }
  const { outcome = 'exited', signal = null, exitCode, stdout, stderr = '' } = order;
  if (result.outcome === 'lost') {
    work.note(order.id, 'unsure');
    if (ledger.touched(['kill-keeper'], order.sinceMs)) ledger.add('told as lost');
    else work.wrong('lost', 'a command is told as lost though its keeper lived', order, { got: result });
    return result;
  }
  const diskWasFull = ledger.touched(['full-disk'], order.sinceMs);
  if (diskWasFull && (result.exitCode === NOT_COUNTED || result.limit === 'disk')) {
    work.note(order.id, 'unsure');
    return result;
  }
  if (outcome === 'timedOut' && result.outcome === outcome && isCut(textOf(result, order, 'stdout'), stdout)) {
    ledger.add('too slow for their time');
    work.note(order.id, 'unsure');
    return result;
  }
  work.note(order.id, 'ran');
  if (result.outcome !== outcome || result.exitCode !== exitCode || result.signal !== signal) {
    work.wrong('wrong', 'a command ended otherwise', order, {
      expected: { outcome, exitCode, signal },
      got: { ...result, stdout: result.stdout.slice(0, 200) },
    });
    return result;
  }
  for (const [name, expected] of Object.entries({ stdout, stderr }))
    checkOutput({ work, order, result, name, expected });
  return result;
}

const bytesOf = (result, order, name) => Buffer.from(result[name], order.encoding === 'base64' ? 'base64' : 'utf8');
const textOf = (result, order, name) => bytesOf(result, order, name).toString();

function checkOutput({ work, order, result, name, expected }) {
  const { ledger } = work;
  const bytes = bytesOf(result, order, name);
  const printed = result[`${name}Bytes`];
  const wanted = Buffer.byteLength(expected);
  if (printed !== wanted)
    return work.wrong('wrong', `${name} has another length`, order, {
      expected: wanted,
      got: { ...result, stdout: '', stderr: '' },
    });
  if (result.truncated && bytes.length < wanted) {
    // What ended while there was no gateway is kept as long as there is room for it; that it is cut is said.
    if (ledger.touched(['kill-gateway', 'kill-twice', 'upgrade', 'replace'], order.sinceMs))
      return ledger.add('cut outputs');
    return work.wrong('wrong', `${name} was cut without need`, order, { expected: wanted, got: bytes.length });
  }
  ledger.add('bytes checked', bytes.length);
  if (sha256(bytes) !== sha256(expected)) {
    work.wrong('wrong', `${name} is not what was printed`, order, {
      expected: expected.slice(0, 300),
      got: bytes.toString().slice(0, 300),
      bytes: `${wanted}, got ${bytes.length}`,
    });
  }
}
