import { readdir, readFile } from 'node:fs/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Bench, openBench, shownLines, until } from './fixture.ts';

let bench: Bench;

beforeEach(async () => {
  bench = await openBench();
});

afterEach(async () => {
  await bench.close();
});

const exited = (exitCode: number, output: string) => ({
  outcome: 'exited',
  exitCode,
  output,
  outputBytes: Buffer.byteLength(output),
  truncated: false,
  cwd: '/workspace',
});

test.each([
  ['true', 0, ''],
  ['false', 1, ''],
  ['', 0, ''],
  ['   \n\n', 0, ''],
  ['# comment', 0, ''],
  ['echo hi # comment', 0, 'hi\n'],
  ['printf abc', 0, 'abc'],
  ["printf 'a\\n\\n'", 0, 'a\n\n'],
  ['echo out; echo err >&2; exit_code() { return 7; }; exit_code', 7, 'out\nerr\n'],
  ['(exit 3)', 3, ''],
  ['return 4', 4, ''],
  ['no_such_command 2>/dev/null', 127, ''],
  ['cat', 0, ''],
  ['read line; echo "$? $line"', 0, '1 \n'],
  ['cat; echo done', 0, 'done\n'],
  ['sleep 100 &', 0, ''],
  ['cat <<EOF\na $((1 + 1))\nEOF', 0, 'a 2\n'],
  ["cat <<'EOF' | tr a-z A-Z\nit's $x\nEOF\n", 0, "IT'S $X\n"],
  ['echo a\necho b', 0, 'a\nb\n'],
  ['for i in 1 2; do\n  echo $i\ndone', 0, '1\n2\n'],
  ['echo \\\n  joined', 0, 'joined\n'],
  ["printf 'a\\rb\\n'", 0, 'a\rb\n'],
  ["printf 'a\\r'", 0, 'a\r'],
  ["printf '\\e[31mred\\e[0m\\n'", 0, '\x1b[31mred\x1b[0m\n'],
  ["printf '\\e[?2004h'; echo x", 0, '\x1b[?2004hx\n'],
  ["printf 'héllo 漢字 👍\\n'", 0, 'héllo 漢字 👍\n'],
  ["printf '\\xff\\n'", 0, '\ufffd\n'],
  ['echo !!', 0, '!!\n'],
  ['echo "a!b"', 0, 'a!b\n'],
  ['ls no_such_file >/dev/null 2>&1 || echo none', 0, 'none\n'],
  ['[[ -t 1 ]] && [[ ! -t 0 ]] && echo "tty out, no tty in"', 0, 'tty out, no tty in\n'],
  ["printf '\\e]133;D;0\\a'; false", 1, '\x1b]133;D;0\x07'],
  [
    "printf '\\e]133;C\\e\\\\x\\e]133;D;5;k=0123456789abcdef\\e\\\\'; (exit 9)",
    9,
    '\x1b]133;C\x1b\\x\x1b]133;D;5;k=0123456789abcdef\x1b\\',
  ],
  ["printf '\\e]133;'", 0, '\x1b]133;'],
  ["printf '\\e'", 0, '\x1b'],
])('%j exits with %i and prints %j', async (command, exitCode, output) => {
  expect(await bench.run(command)).toMatchObject(exited(exitCode, output));
  expect(await bench.run('echo next')).toMatchObject(exited(0, 'next\n'));
});

test('a command that prints the prompt with its marks is not taken for ended', async () => {
  const { exitCode, output } = await bench.run(`echo "\${PS1@P}\${PS0@P}"; sleep 0.3; echo x; false`);
  expect(exitCode).toBe(1);
  expect(output).toMatch(/^\S*~ \$ \S*\nx\n$/);
});

test('long output is whole and in order', async () => {
  const lines = Array.from({ length: 3000 }, (_, index) => `${index + 1}\n`).join('');
  expect(await bench.run('seq 3000')).toMatchObject(exited(0, lines));
});

test('a very wide line is not wrapped', async () => {
  const wide = 'x'.repeat(5000);
  expect(await bench.run(`printf '%s\\n' ${wide}`)).toMatchObject(exited(0, `${wide}\n`));
});

test('cwd, variables, functions, aliases, options and jobs stay', async () => {
  await bench.run(
    "mkdir 'a b'; cd 'a b'; export GREETING=hello; declare -a list=(1 2); greet() { echo \"$GREETING $1\"; }; shopt -s expand_aliases; alias hi='greet alias'; sleep 1000 &",
  );
  const { output, cwd } = await bench.run(
    `greet you\nhi\necho "\${#list[@]}"\njobs -r\npwd\nsh -c 'echo $GREETING'\nkill %1`,
  );
  expect(cwd).toBe('/workspace/a b');
  const lines = output.split('\n');
  expect(lines.slice(0, 3)).toEqual(['hello you', 'hello alias', '2']);
  expect(lines[3]).toMatch(/^\[1\]\+? +Running +sleep 1000 &$/);
  expect(lines.slice(4, 6)).toEqual(['/workspace/a b', 'hello']);
});

test('a directory whose name has every awkward character is told exactly', async () => {
  const name = '%41;k=\x07\x1b]133;D é漢\n\t';
  await bench.run('name=$\'%41;k=\\a\\e]133;D é漢\\n\\t\'; mkdir -- "$name"; cd -- "$name"');
  const { cwd } = await bench.run('true');
  expect(cwd).toBe(`/workspace/${name}`);
});

test('$? is that of the command before', async () => {
  await bench.run('false');
  expect((await bench.run('echo $?')).output).toBe('1\n');
  expect((await bench.run('echo $?')).output).toBe('0\n');
  await bench.run('(exit 42)');
  expect((await bench.run('echo $?')).output).toBe('42\n');
});

test('a script of 100 KB runs and the terminal shows its beginning', async () => {
  const script = Array.from({ length: 5000 }, (_, index) => `x=${index} # some text here`).join('\n');
  expect(Buffer.byteLength(script)).toBeGreaterThan(100_000);
  expect(await bench.run(`${script}\necho $x`)).toMatchObject(exited(0, '4999\n'));
  const { text } = await bench.terminal.capture({ history: 0, format: 'text' });
  expect(text).toContain('$ x=0 # some text here'.slice(2));
  expect(text).toContain('> … 4981 more lines');
});

test.each([
  ["echo 'a", 'unexpected EOF'],
  ['echo "a', 'unexpected EOF'],
  ['if true; then', 'syntax error'],
  ['echo )', 'syntax error'],
  ['echo $(', 'unexpected EOF'],
])('the syntax error in %j ends the call', async (command, message) => {
  const result = await bench.run(command);
  expect(result).toMatchObject({ outcome: 'exited', truncated: false });
  expect(result.exitCode).not.toBe(0);
  expect(result.output).toContain(message);
  expect(await bench.run('echo next')).toMatchObject(exited(0, 'next\n'));
});

test.each([
  ['exit 3', 3, ''],
  ['echo bye; exit', 0, 'bye\n'],
  ['set -e; false; echo not here', 1, ''],
  ['exec sh', 0, ''],
  ["exec sh -c 'echo exit; exit 9'", 9, 'exit\n'],
  ['trap "echo trapped" EXIT; exit 4', 4, 'trapped\n'],
  ['seq 2000; exit 5', 5, Array.from({ length: 2000 }, (_, index) => `${index + 1}\n`).join('')],
])('%j ends the shell, and the next call starts a new one', async (command, exitCode, output) => {
  await bench.run('gone=1; cd /');
  expect(await bench.run(command)).toMatchObject({ ...exited(exitCode, output), cwd: null });
  expect(bench.terminal.info()).toBeNull();
  expect(await bench.run(`echo "\${gone-new}"; pwd`)).toMatchObject(exited(0, 'new\n/workspace\n'));
});

test('a shell that kills itself is signaled, or exits with the number of the signal', async () => {
  const { outcome, exitCode } = await bench.run('kill -9 $$');
  expect([`${outcome} ${exitCode}`]).toEqual([expect.stringMatching(/^(signaled null|exited 137)$/)]);
  expect(await bench.run('echo next')).toMatchObject(exited(0, 'next\n'));
});

test.each([
  ["PS1='> '", ''],
  ['unset PROMPT_COMMAND', ''],
  ["PS1='> '; unset PROMPT_COMMAND PS0 PS2", ''],
  ["PROMPT_COMMAND='echo mine'", ''],
  ["PS1='\\n\\w\\n[\\u] > '", ''],
  ["PS1='\\[\\e[31m\\]red\\[\\e[0m\\]> '", ''],
  ["PS1='$(echo sub)> '", ''],
  ['set -o vi', ''],
  ['set -u', ''],
  ['set -C; set -f; IFS=x', ''],
  ['shopt -s nocasematch extglob failglob', ''],
  ['trap "echo dbg >/dev/null" DEBUG', ''],
  ['set -o posix', ''],
  ['LC_ALL=C', ''],
  ['exec 2>/dev/null', ''],
  ['unalias -a; alias printf=false local=false', ''],
  ['HISTCONTROL=', ''],
  ['bind "set enable-bracketed-paste off"', ''],
  ['stty -echo </dev/tty', ''],
])('runs are exact after %j', async (command, output) => {
  expect((await bench.run(command)).output).toBe(output);
  expect(await bench.run('echo one; false')).toMatchObject(exited(1, 'one\n'));
  expect(await bench.run('echo $?')).toMatchObject(exited(0, '1\n'));
});

test('runs are exact after the user has removed every function', async () => {
  expect(await bench.run('unset -f $(compgen -A function); echo gone')).toMatchObject({ outcome: 'exited' });
  expect(await bench.run('echo one; false')).toMatchObject(exited(1, 'one\n'));
  expect(await bench.run('echo $?')).toMatchObject(exited(0, '1\n'));
});

test('tracing shows the commands of the script and nothing of ours', async () => {
  await bench.run('set -x');
  expect((await bench.run('echo a\nfalse')).output).toBe('++ echo a\na\n++ false\n');
  expect((await bench.run('echo b')).output).toBe('++ echo b\nb\n');
  expect((await bench.run("PS4='trace '; set +x")).output).toBe(
    "++ PS4='trace '\n++ set +x\n".replace('++ set', 'ttrace set'),
  );
});

test('errexit stays on and ends the shell at the next failure', async () => {
  expect(await bench.run('set -e')).toMatchObject(exited(0, ''));
  expect(await bench.run('if false; then :; fi; echo on')).toMatchObject(exited(0, 'on\n'));
  expect(await bench.run('false; echo off')).toMatchObject({ ...exited(1, ''), cwd: null });
});

test('a shell whose stdout is a file still ends its runs', async () => {
  expect((await bench.run('exec >log; echo a')).output).toBe('');
  expect((await bench.run('echo b')).output).toBe('');
  expect(await bench.run('exec >/dev/tty; cat log')).toMatchObject(exited(0, 'a\nb\n'));
});

test('output above the limit keeps head and tail, cut between characters, and counts every byte', async () => {
  const { output, outputBytes, truncated } = await bench.run("printf 'é%.0s' $(seq 1000); printf end", {
    maxOutputBytes: 11,
  });
  expect({ output, outputBytes, truncated }).toEqual({
    output: 'ééé\n[… 1993 bytes left out …]\n\u00e9end'.replace('\u00e9end', 'éend').replace('1993', '1992'),
    outputBytes: 2003,
    truncated: true,
  });
});

test('maxOutputBytes 0 keeps nothing and still counts', async () => {
  expect(await bench.run('echo hi', { maxOutputBytes: 0 })).toMatchObject({
    outputBytes: 3,
    truncated: true,
    exitCode: 0,
  });
});

test('two callers at once are served one after the other', async () => {
  const order: number[] = [];
  const results = await Promise.all(
    [1, 2, 3].map(async (n) => {
      const result = await bench.run(`echo start ${n}; sleep 0.05; echo end ${n}`);
      order.push(n);
      return result.output;
    }),
  );
  expect(results).toEqual([1, 2, 3].map((n) => `start ${n}\nend ${n}\n`));
  expect(order).toEqual([1, 2, 3]);
});

test('the terminal shows commands as a person would have typed them', async () => {
  await bench.run('cd /');
  await bench.run("cat <<'EOF'\nline\tone\nEOF\nprintf '\\e[31m' # \x1b[2J");
  const lines = await shownLines(bench);
  expect(lines).toEqual([
    '~ $ cd /',
    "/ $ cat <<'EOF'",
    '> line    one',
    '> EOF',
    "> printf '\\e[31m' # ␛[2J",
    'line\tone'.replace('\t', '    '),
    '/ $',
  ]);
});

test.each([20, 21, 22, 23, 24, 30, 37, 54, 55, 56, 57, 58, 80])(
  'with %i columns nothing of our own line stays on the screen',
  async (cols) => {
    await bench.close();
    bench = await openBench({ cols, rows: 24 });
    await bench.run('cd /; echo a');
    await bench.run("PS1='漢字\\[\\e[1m\\]> '");
    await bench.run('echo b');
    const shown = await shownLines(bench, 100);
    expect(shown.slice(0, 2)).toEqual(['~ $ cd /; echo a', 'a']);
    expect(shown.slice(-3)).toEqual(['漢字> echo b', 'b', '漢字>']);
    expect(shown.join('\n')).not.toContain('slotcast');
  },
);

test('nothing of the workspace is read at the start, and no history is left in it', async () => {
  await bench.run(
    "echo 'echo loaded' | tee .bashrc .bash_profile .profile >/dev/null; echo 'set editing-mode vi' >.inputrc",
  );
  await bench.run('exit');
  expect((await bench.run('shopt -oq vi && echo vi; bind -v | grep editing-mode')).output).toBe(
    'set editing-mode emacs\n',
  );
  await bench.run('exit');
  expect((await readdir(bench.place.workspace)).sort()).toEqual(['.bash_profile', '.bashrc', '.inputrc', '.profile']);
});

test('the spool holds no script and no nonce after the runs', async () => {
  await bench.run('echo secret');
  await until(async () => (await readdir(bench.place.spool)).length === 0);
});

test('each run is two markers in the cast', async () => {
  await bench.run('false');
  await bench.run('exit 3');
  const frames = bench.log.read(0, Number.POSITIVE_INFINITY);
  const marks = 'from' in frames ? [] : frames.filter((frame) => frame.code === 'm').map((frame) => frame.data);
  expect(marks.map((mark) => mark.replace(/\d+ms/, 'Nms'))).toEqual([
    'r1 $ false',
    'r1 exited 1 Nms',
    'r2 $ exit 3',
    'r2 exited 3 Nms',
  ]);
});

test('a script is readable for another user under any umask', async () => {
  const before = process.umask(0o077);
  try {
    const { output } = await bench.run('stat -c %a "$__sc"');
    expect(output).toBe('644\n');
  } finally {
    process.umask(before);
  }
});

test('marks stay out of what programs see: their environment has nothing of ours', async () => {
  expect((await bench.run('env | grep -i slotcast | grep -v ^PWD | grep -v ^HOME | grep -v ^OLDPWD')).output).toBe('');
  expect(await readFile('/proc/self/comm', 'utf8')).not.toBe('');
});
