// `npm run test:docker`: the files of deploy/ are valid; the image builds; under default settings it refuses to start and says why; as the compose
// file has it, it is healthy, sandboxes, serves an agent through its published port, keeps its data, drains; tests and attacks hold against it.
// Leaves nothing behind but the images, and the engine's data where it had to bring an engine of its own.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkFiles } from './deploy-file.mjs';
import { command, findEngine, NODE_IMAGE, until } from './docker-engine.mjs';
import { scheduled } from './docker-scheduler.mjs';
import { main, SetupError, say } from './say.mjs';
import { root, setUp } from './setup.mjs';

/** Apart from what somebody may run of the same clone. */
const PROJECT = 'slotcast-check';
const PORT = '18080';
const TOKEN = 'only-for-the-gateway-that-the-check-starts';
/** Git with its Perl takes 100 of them, slotcast and its packages 30. */
const OWN_MB = 150;
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
    allGreen(inGateway(engine, 'slotcast', 'doctor'));
  });
  const cast = await step('an agent drives a slot through the published port', () => agent(engine, ['drive']));
  await step('what runs when it is stopped may end, and its reply arrives', () => drained(engine));
  await step('data survive down and up', () => {
    engine.compose([...QUIET, 'down']);
    up(engine);
    agent(engine, ['find', cast]);
  });
  await step('it starts again after it was killed', () => {
    engine.compose([...QUIET, 'kill', 'slotcast']);
    up(engine);
    agent(engine, ['drive']);
  });
  await step('a keeper that is killed takes what ran with it, and the gateway goes on', () => keeperKilled(engine));
  await step('a gateway that is killed comes back by itself, with its data', () => gatewayKilled(engine));
  await step('a token comes by file', () => tokenByFile(engine));
  down(engine);
  await step('as the Nomad job has it, it sandboxes without a capability left', () => bySchedule(engine, 'nomad'));
  await step('as the Kubernetes manifest has it, too', () => bySchedule(engine, 'kubernetes'));
  await step('tests and attacks hold from outside', () => {
    engine.compose([...QUIET, 'run', '--rm', '-T', 'test'], { shows: true });
  });
  await step("attacks hold in a container like the gateway's, where they see its processes", () => {
    engine.compose([...QUIET, 'run', '--rm', '-T', 'test-inside'], { shows: true });
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
  const layers = engine
    .docker(['history', '--no-trunc', '--human=false', '--format', '{{.Size}} {{.CreatedBy}}', 'slotcast'])
    .trim()
    .split('\n');
  // The newest comes first; the Dockerfile's own begin with its argument.
  const own = layers.slice(
    0,
    layers.findIndex((layer) => /^0 ARG SLOT_PACKAGES/.test(layer)),
  );
  const [all, ours] = [layers, own].map((some) =>
    Math.round(some.reduce((sum, layer) => sum + Number.parseInt(layer, 10), 0) / 1e6),
  );
  say(`the image has ${all} MB, ${ours} of them beyond ${NODE_IMAGE}`);
  expect(ours > 0 && ours <= OWN_MB, `not within ${OWN_MB} MB beyond its base`);
}

/** Of the whole report: nothing is left out of it that is not there. */
function allGreen(said) {
  const named = [...said.matchAll(/^ok +(\w+)/gm)].map(([, name]) => name);
  const wanted = ['sandbox', 'seccomp', 'network', 'processLimit', 'identity', 'memoryLimit', 'cells'];
  expect(!/^missing/m.test(said) && wanted.every((name) => named.includes(name)), said);
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
function agent(engine, args, token) {
  const { program, rest, env } = agentCommand(engine, args, token);
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
    agent(engine, ['drive'], TOKEN);
    expect(!inGateway(engine, 'cat', '/data/token').includes(TOKEN), 'the token lies in the data directory too');
    // The command line inside finds it as well.
    inGateway(engine, 'slotcast', 'slots');
  } finally {
    rmSync(dir, { recursive: true });
  }
}

/** What the agent that holds a slot finds when `victim` of the gateway's processes is killed: its recording, and how its command ended. */
async function killed(engine, victim) {
  const { program, rest, env } = agentCommand(engine, ['hold']);
  const child = spawn(program, rest, { env, stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  const ended = new Promise((resolve) => child.once('close', resolve));
  const begun = new Promise((resolve) => {
    child.stdout.on('data', (data) => {
      said += data;
      if (said.includes('\n')) resolve();
    });
  });
  await Promise.race([begun, ended]);
  // The shell may go with the container.
  complaint(() => inGateway(engine, 'sh', '-c', `kill -9 "$(cut -d" " -f1 /data/${victim}.pid)"`));
  expect((await ended) === 0, 'the agent was not told');
  return said.split('\n');
}

async function keeperKilled(engine) {
  const [cast, outcome] = await killed(engine, 'keeper');
  expect(outcome === 'lost', `its command ended as ${outcome}`);
  agent(engine, ['drive']);
  agent(engine, ['find', cast, 'recovered']);
  expect(restarts(engine) === '0', 'the container was started anew');
  const left = inGateway(engine, 'sh', '-c', 'grep -lsE "^State:.Z" /proc/[0-9]*/status || true').trim();
  expect(left === '', `nobody reaped ${left}`);
}

async function gatewayKilled(engine) {
  const token = inGateway(engine, 'cat', '/data/token');
  const [cast, outcome] = await killed(engine, 'gateway');
  expect(outcome !== 'exited', 'its command ended as if nothing were');
  await until('the container was started anew and is healthy', () => {
    const health = engine.compose(['ps', '--format', '{{.Health}}', 'slotcast']).trim();
    return restarts(engine) === '1' && health === 'healthy';
  });
  expect(inGateway(engine, 'cat', '/data/token') === token, 'the token is another');
  agent(engine, ['drive']);
  agent(engine, ['find', cast, 'recovered']);
}

/** How often the engine had to start the container again by itself. */
function restarts(engine) {
  const id = engine.compose(['ps', '--quiet', 'slotcast']).trim();
  return engine.docker(['inspect', '--format', '{{.RestartCount}}', id]).trim();
}

async function bySchedule(engine, scheduler) {
  await scheduled(engine, scheduler, { port: PORT, token: TOKEN }, (inside) => {
    allGreen(inside('slotcast', 'doctor'));
    agent(engine, ['drive'], TOKEN);
  });
}
