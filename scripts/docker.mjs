// `npm run test:docker`: the files of deploy/ are valid; the image builds; under default settings it refuses to start and says why; as the compose
// file has it, it is healthy, sandboxes, serves an agent through its published port, keeps its data, drains; tests and attacks hold against it.
// Leaves nothing behind but the images, and the engine's data where it had to bring an engine of its own.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkFiles } from './deploy-file.mjs';
import { command, findEngine } from './docker-engine.mjs';
import { main, SetupError, say } from './say.mjs';
import { root, setUp } from './setup.mjs';

/** Apart from what somebody may run of the same clone. */
const PROJECT = 'slotcast-check';
const PORT = '18080';
const TOKEN = 'only-for-the-gateway-that-the-check-starts';
const QUIET = ['--progress', 'quiet'];

const SECCOMP = 'seccomp=deploy/seccomp-bwrap.json';
const PROC = 'systempaths=unconfined';
/** Hosts with AppArmor want it in every line. */
const APPARMOR = 'apparmor=unconfined';
const REFUSALS = [
  { flags: [], names: [SECCOMP, PROC] },
  { flags: ['--security-opt', SECCOMP, '--security-opt', APPARMOR], names: [PROC] },
  { flags: ['--security-opt', PROC, '--security-opt', APPARMOR], names: [SECCOMP] },
  {
    flags: [...['--security-opt', SECCOMP, '--security-opt', APPARMOR, '--security-opt', PROC], '--user', '0'],
    names: ['--user 1000:1000'],
  },
  {
    flags: [...['--security-opt', SECCOMP, '--security-opt', APPARMOR, '--security-opt', PROC], '--read-only'],
    names: ['--tmpfs /tmp'],
  },
];

await main(async () => {
  setUp();
  process.chdir(root);
  await step('the files of deploy/ are what their schedulers read', checkFiles);
  const engine = findEngine();
  if (typeof engine === 'string') {
    say(`skipped: ${engine}`);
    return;
  }
  // Ctrl-C ends what is being done, by itself, and then everything is taken down.
  process.on('SIGINT', () => {});
  Object.assign(engine.env, { COMPOSE_PROJECT_NAME: PROJECT, SLOTCAST_PUBLISH: PORT });
  try {
    await step('images are built', async () => {
      await engine.prepareBuild();
      engine.compose(['--profile', 'test', ...QUIET, 'build']);
      await engine.prepareRun();
    });
    // What a run that was cut off has left.
    down(engine);
    try {
      await check(engine);
    } finally {
      down(engine);
    }
  } finally {
    await engine.close();
  }
  say('all of it holds');
});

async function check(engine) {
  await step('the image is small and has no compiler', () => imageIsBare(engine));
  await step('without its settings it refuses to start, and names what is missing', () => refusals(engine));
  await step('compose starts it, healthy, and it says where a browser finds it', () => {
    up(engine);
    const said = engine.compose(['logs', '--no-log-prefix', 'slotcast']);
    expect(/sign in, .*: http:\/\/127\.0\.0\.1:8080\/#ticket=/.test(said), said);
  });
  await step('doctor has nothing to complain of', () => {
    const said = engine.compose(['exec', '-T', 'slotcast', 'slotcast', 'doctor']);
    expect(!/^missing/m.test(said) && /^ok +memoryLimit/m.test(said), said);
  });
  const cast = await step('an agent drives a slot through the published port', () => agent(engine, 'drive'));
  await step('what runs when it is stopped may end, and its reply arrives', () => drained(engine));
  await step('data survive down and up', () => {
    engine.compose([...QUIET, 'down']);
    up(engine);
    agent(engine, 'find', cast);
  });
  await step('it starts again after it was killed', () => {
    engine.compose([...QUIET, 'kill', 'slotcast']);
    up(engine);
    agent(engine, 'drive');
  });
  await step('a token comes by file', () => tokenByFile(engine));
  await step("Nomad's entrypoint sandboxes as well, without a capability left", () => nomadEntrypoint(engine));
  await step('tests and attacks hold from outside', () => {
    engine.compose([...QUIET, 'run', '--rm', '-T', 'test'], { shows: true });
  });
}

/** Says what holds and how long it took; what does not hold ends everything. */
async function step(name, work) {
  const beganMs = performance.now();
  try {
    const result = await work();
    say(`${name} (${((performance.now() - beganMs) / 1000).toFixed(1)} s)`);
    return result;
  } catch (error) {
    if (error instanceof SetupError) throw new SetupError(`does not hold: ${name}\n${error.message}`);
    throw error;
  }
}

function expect(holds, said) {
  if (!holds) throw new SetupError(said);
}

function imageIsBare(engine) {
  const script =
    'for tool in cc gcc g++ make tsc; do command -v $tool; done; ls node_modules | grep -E "^(typescript|vite|vitest)$"; id -u';
  const said = engine.docker(['run', '--rm', '--entrypoint', 'sh', 'slotcast', '-c', script]).trim();
  expect(said === '1000', `found in the image, or not its user: ${said}`);
}

function refusals(engine) {
  const all = [SECCOMP, PROC, '--user 1000:1000', '--tmpfs /tmp'];
  for (const { flags, names } of REFUSALS) {
    const said = complaint(() => engine.docker(['run', '--rm', ...flags, 'slotcast']));
    const named = all.filter((name) => new RegExp(`^  .*${name.replace(/[.]/g, '\\.')}`, 'm').test(said));
    expect(
      JSON.stringify(named) === JSON.stringify(all.filter((name) => names.includes(name))),
      `${flags.join(' ')}:\n${said}`,
    );
  }
}

/** What it said when it failed. */
function complaint(work) {
  try {
    return `it did not fail: ${work()}`;
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    return error.message;
  }
}

function down(engine) {
  engine.compose(['--profile', 'test', ...QUIET, 'down', '--volumes', '--timeout', '20']);
}

function up(engine, env = engine.env) {
  engine.compose([...QUIET, 'up', '--detach', '--no-build', '--wait'], { env });
}

function inGateway(engine, ...words) {
  return engine.compose(['exec', '-T', 'slotcast', ...words]);
}

/** The command line of docker-agent.mjs where the published port is, and its environment. */
function agentCommand(engine, args, token = inGateway(engine, 'cat', '/data/token').trim()) {
  const [program, ...rest] = [...engine.network, process.execPath, 'scripts/docker-agent.mjs', ...args];
  const env = { ...engine.env, SLOTCAST_URL: `http://127.0.0.1:${PORT}`, SLOTCAST_TOKEN: token };
  return { program, rest, env };
}

/** What the agent printed. */
function agent(engine, ...args) {
  const { program, rest, env } = agentCommand(engine, args);
  return command(program, rest, { env }).trim();
}

/** The gateway is stopped while a command of the agent runs, which the agent finds nothing wrong with. */
async function drained(engine) {
  const { program, rest, env } = agentCommand(engine, ['drain']);
  const child = spawn(program, rest, { env, stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise((resolve) => child.once('close', resolve));
  await Promise.race([new Promise((resolve) => child.stdout.once('data', resolve)), ended]);
  engine.compose([...QUIET, 'stop']);
  expect((await ended) === 0, 'the agent did not get its result');
  const state = engine.compose(['ps', '--all', '--format', '{{.ExitCode}}', 'slotcast']).trim();
  expect(state === '0', `the gateway ended with ${state}`);
}

function tokenByFile(engine) {
  const dir = mkdtempSync(join(tmpdir(), 'slotcast-secret-'));
  try {
    const file = join(dir, 'token');
    writeFileSync(file, `${TOKEN}\n`, { mode: 0o444 });
    up(engine, { ...engine.env, SLOTCAST_TOKEN_FILE: file });
    const { program, rest, env } = agentCommand(engine, ['drive'], TOKEN);
    command(program, rest, { env });
    expect(!inGateway(engine, 'cat', '/data/token').includes(TOKEN), 'the token lies in the data directory too');
    // The command line inside finds it as well.
    inGateway(engine, 'slotcast', 'slots');
  } finally {
    rmSync(dir, { recursive: true });
  }
}

function nomadEntrypoint(engine) {
  const job = readFileSync('deploy/nomad/slotcast.nomad.hcl', 'utf8');
  const [, list = ''] = /cap_add\s*=\s*\[(.*)\]/.exec(job) ?? [];
  const capabilities = [...list.matchAll(/"(\w+)"/g)].flatMap(([, name]) => ['--cap-add', name.toUpperCase()]);
  const flags = [
    '--user',
    '0:0',
    '--read-only',
    '--tmpfs',
    '/tmp:size=64m,mode=1777',
    '--cap-drop',
    'ALL',
    '--memory',
    '2g',
  ];
  const opened = ['no-new-privileges', SECCOMP, APPARMOR].flatMap((setting) => ['--security-opt', setting]);
  const entrypoint = ['--entrypoint', '/opt/slotcast/deploy/nomad/entrypoint.sh'];
  const said = engine.docker([
    'run',
    '--rm',
    ...flags,
    ...capabilities,
    ...opened,
    ...entrypoint,
    'slotcast',
    'doctor',
  ]);
  expect(!/^missing/m.test(said) && /own user 1000/.test(said), said);
}
