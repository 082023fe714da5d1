// The image as Nomad and Kubernetes run it, for scripts/docker.mjs: what the job and the manifest of deploy/ ask for is read from them and handed
// to Docker, with volumes and secrets that have the owners and modes which those give them. What only a cluster does is not tried.
import { jobIn, manifestsIn } from './deploy-file.mjs';
import { until } from './docker-engine.mjs';
import { SetupError } from './say.mjs';

/** Apart from what compose names. */
const NAME = 'slotcast-check-scheduled';
const DATA = `${NAME}-data`;
const SECRET = `${NAME}-secret`;
/** Both profiles name the file where it lies on their hosts. */
const SECCOMP = 'seccomp=deploy/seccomp-bwrap.json';
/** Which of Docker's settings stand for a manifest's, and the only values that they stand for. */
const KUBERNETES = {
  capabilities: [{ drop: ['ALL'] }, ['--cap-drop', 'ALL']],
  allowPrivilegeEscalation: [false, ['--security-opt', 'no-new-privileges']],
  readOnlyRootFilesystem: [true, ['--read-only']],
  privileged: [false, []],
  procMount: ['Unmasked', ['--security-opt', 'systempaths=unconfined']],
  seccompProfile: [{ type: 'Localhost', localhostProfile: 'slotcast/seccomp-bwrap.json' }, ['--security-opt', SECCOMP]],
  appArmorProfile: [{ type: 'Unconfined' }, ['--security-opt', 'apparmor=unconfined']],
};

/** The flags of Docker for the job's task: root's, with the capabilities that it asks for, and the allocation's directory and secrets. */
async function nomadRun() {
  const job = await jobIn('deploy/nomad/slotcast.nomad.hcl');
  const [task] = job.job.slotcast[0].group.gateway[0].task.slotcast;
  const [config] = task.config;
  const [{ uid, gid, perms }] = task.template;
  const [tmp] = config.mount;
  const [{ size, mode }] = tmp.tmpfs_options;
  const places = { NOMAD_ALLOC_DIR: '/alloc', NOMAD_SECRETS_DIR: '/secrets', 'var.slots': 2, 'var.image': 'slotcast' };
  const filled = (text) => text.replace(/\$\{([\w.]+)\}/g, (whole, name) => places[name] ?? whole);
  const opened = config.security_opt.map((setting) => (setting.startsWith('seccomp=') ? SECCOMP : setting));
  return {
    flags: [
      ...['--user', task.user, '--pids-limit', config.pids_limit, ...(config.readonly_rootfs ? ['--read-only'] : [])],
      ...config.cap_drop.flatMap((name) => ['--cap-drop', name.toUpperCase()]),
      ...config.cap_add.flatMap((name) => ['--cap-add', name.toUpperCase()]),
      ...opened.flatMap((setting) => ['--security-opt', setting]),
      ...Object.entries(task.env[0]).flatMap(([name, value]) => ['--env', `${name}=${filled(value)}`]),
      ...['--env', 'NOMAD_ALLOC_DIR=/alloc', '--env', 'NOMAD_SECRETS_DIR=/secrets'],
      ...['--tmpfs', `${tmp.target}:size=${size},mode=${mode.toString(8)}`],
      ...['--memory', `${task.resources[0].memory}m`],
      ...['--mount', volume(DATA, '/alloc'), '--mount', volume(SECRET, '/secrets')],
      ...['--entrypoint', config.entrypoint.join(' ')],
    ],
    image: filled(config.image),
    args: config.args,
    // Nomad leaves the directory of an allocation open to whatever user a task has.
    prepare: `
      install -d -m 0777 /data-volume/data
      cat > /secret-volume/token; chown ${uid}:${gid} /secret-volume/token; chmod ${perms} /secret-volume/token`,
    probes: [job.job.slotcast[0].group.gateway[0].service[0].check[0].path],
    // Who comes in by Nomad is the task's user, root, and no use to the gateway's.
    enter: ['setpriv', '--reuid', '1000', '--regid', '1000', '--clear-groups'],
  };
}

/** The flags of Docker for the pod; volumes belong to root and to the pod's fsGroup, as a kubelet leaves them. */
async function kubernetesRun() {
  const manifests = await manifestsIn('deploy/kubernetes/slotcast.yaml');
  const pod = manifests.find(({ kind }) => kind === 'StatefulSet').spec.template.spec;
  const [container] = pod.containers;
  const { runAsUser, runAsGroup, fsGroup } = pod.securityContext;
  const place = (name) => container.volumeMounts.find((mount) => mount.name === name).mountPath;
  const token = pod.volumes.find(({ name }) => name === 'token').secret;
  return {
    flags: [
      ...['--user', `${runAsUser}:${runAsGroup}`, '--group-add', fsGroup],
      ...Object.entries(container.securityContext).flatMap(securityFlags),
      ...container.env.flatMap(({ name, value }) => ['--env', `${name}=${value}`]),
      ...['--tmpfs', `${place('tmp')}:size=64m,mode=2777,gid=${fsGroup}`],
      ...['--memory', container.resources.limits.memory.replace('Gi', 'g')],
      ...['--mount', volume(DATA, place('data')), '--mount', `${volume(SECRET, place('token'))},readonly`],
      // Every pod has it.
      ...['--env', 'KUBERNETES_SERVICE_HOST=127.0.0.1'],
    ],
    image: container.image,
    args: container.args ?? [],
    prepare: `
      chown root:${fsGroup} /data-volume; chmod 2775 /data-volume
      cat > /secret-volume/token; chown root:${fsGroup} /secret-volume/token
      chmod ${token.defaultMode.toString(8)} /secret-volume/token`,
    probes: ['startupProbe', 'readinessProbe', 'livenessProbe'].map((name) => container[name].httpGet.path),
    enter: [],
  };
}

function securityFlags([name, value]) {
  const [known, flags] = KUBERNETES[name] ?? [];
  if (JSON.stringify(known) !== JSON.stringify(value))
    throw new SetupError(`nothing of Docker's stands for ${name}: ${JSON.stringify(value)} in a pod`);
  return flags;
}

const runs = { nomad: nomadRun, kubernetes: kubernetesRun };

/** Starts it as that scheduler would, published at `port`; calls `work` when its probes hold, and stops it. Leaves nothing of it. */
export async function scheduled(engine, scheduler, { port, token }, work) {
  const { flags, image, args, prepare, probes, enter } = await runs[scheduler]();
  removeScheduled(engine);
  try {
    const mounts = ['--mount', volume(DATA, '/data-volume'), '--mount', volume(SECRET, '/secret-volume')];
    const asRoot = ['run', '--rm', '--interactive', '--user', '0:0', '--entrypoint', 'sh', ...mounts, image];
    engine.docker([...asRoot, '-ec', prepare], { input: `${token}\n`, stdio: 'pipe' });
    const published = ['--publish', `127.0.0.1:${port}:8080`];
    engine.docker(['run', '--detach', '--name', NAME, ...published, ...flags.map(String), image, ...args]);
    for (const path of probes) await until(`${path} says that all is well`, () => answers(engine, path));
    await work((...words) => engine.docker(['exec', NAME, ...enter, ...words]));
    engine.docker(['stop', '--time', '30', NAME]);
    const code = engine.docker(['inspect', '--format', '{{.State.ExitCode}}', NAME]).trim();
    if (code !== '0') throw new SetupError(`the gateway ended with ${code}`);
  } catch (error) {
    // What it says of itself is the better half of the complaint.
    engine.docker(['logs', NAME], { shows: true });
    throw error;
  } finally {
    removeScheduled(engine);
  }
}

const volume = (name, place) => `type=volume,source=${name},target=${place},volume-nocopy`;

/** Asked as a probe asks: by the address, which is none of the names that the gateway is told of. */
function answers(engine, path) {
  const script = `
    const [{ address }] = require('os').networkInterfaces().eth0;
    fetch('http://' + address + ':8080${path}').then((reply) => process.exit(reply.ok ? 0 : 1), () => process.exit(1));`;
  try {
    engine.docker(['exec', NAME, 'node', '-e', script]);
    return true;
  } catch (error) {
    if (error instanceof SetupError) return false;
    throw error;
  }
}

function removeScheduled(engine) {
  engine.docker(['rm', '--force', '--volumes', NAME]);
  engine.docker(['volume', 'rm', '--force', DATA, SECRET]);
}
