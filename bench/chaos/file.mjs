// The file part of an agent in a chaos run: what was written is there, whole, by its hash; a write whose reply was lost is there or it is not.
import { lines, sha256 } from './text.mjs';

const FILES = 12;

export async function useFile(work) {
  const { random } = work;
  const path = `f${random.below(FILES)}.txt`;
  // Two writers of one file would each have to accept what the other left.
  if (work.busy.has(path)) return;
  work.busy.add(path);
  try {
    await (work.files.has(path) && random.below(2) === 0 ? readBack(work, path) : write(work, path));
  } finally {
    work.busy.delete(path);
  }
}

async function write(work, path) {
  const { random, ledger } = work;
  const id = work.nextId('f');
  const content = lines(id, random.below(random.below(4) === 0 ? 40_000 : 500));
  const how = random.oneOf(['message', 'upload', 'exec']);
  const order = { id, command: `${how} of ${content.length} bytes to ${path}`, sinceMs: performance.now() };
  ledger.add('files');
  const before = work.files.get(path) ?? [null];
  const wanted = sha256(content);
  work.files.set(path, [...before, wanted]);
  const { value, error } = await work.attempt(order, async (slot) => {
    if (how === 'message') return await slot.file.write({ path, data: content });
    if (how === 'upload') return await slot.file.upload(path, content);
    const { exitCode } = await slot.exec.run({
      command: `cat >.part-${id} && mv .part-${id} ${path}`,
      input: content,
      timeoutMs: 120_000,
    });
    return exitCode === 0 ? { sha256: wanted } : { failed: exitCode };
  });
  if (how === 'exec') work.loose.add(`.part-${id}`);
  if (error !== undefined) return void work.excuse(error, order);
  if (value.failed !== undefined) {
    if (!ledger.touched(['full-disk', 'kill-keeper'], order.sinceMs))
      work.wrong('wrong', 'a file could not be written', order, { got: value });
    return;
  }
  if (value.sha256 !== wanted)
    work.wrong('wrong', 'a file was written otherwise', order, { expected: wanted, got: value });
  work.files.set(path, [wanted]);
}

export async function readBack(work, path) {
  const order = { id: path, command: `read ${path}`, sinceMs: performance.now() };
  const allowed = work.files.get(path);
  const { value, error } = await work.attempt(order, async (slot) => {
    if (work.random.below(2) === 0) {
      const read = await slot.file.read({ path, encoding: 'base64', maxBytes: 4 * 1024 * 1024 });
      return { said: read.sha256, bytes: Buffer.from(read.data, 'base64') };
    }
    const { stream } = await slot.file.download(path);
    return { said: null, bytes: Buffer.from(await new Response(stream).arrayBuffer()) };
  });
  if (error?.fault === 'FILE_NOT_FOUND') {
    if (!allowed.includes(null)) work.wrong('lost', `${path} is gone`, order);
    return;
  }
  // A stream that is cut is an error of fetch, not of ours.
  if (error !== undefined) return void (error.name === 'TypeError' || work.excuse(error, order));
  const got = sha256(value.bytes);
  work.ledger.add('bytes checked', value.bytes.length);
  if (!allowed.includes(got) || (value.said !== null && value.said !== got))
    work.wrong('wrong', `${path} is not what was written`, order, {
      expected: allowed,
      got,
      said: value.said,
      bytes: value.bytes.length,
    });
}
