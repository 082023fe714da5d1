// Checks the files of deploy/ by what others know of their formats: HCL's own parser, and the schemas of Kubernetes. The checkers are no
// dependencies of the clone, being larger than all of it: they are fetched into a directory of their own.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { cacheDir, command } from './docker-engine.mjs';
import { SetupError, say } from './say.mjs';
import { root } from './setup.mjs';

/** Pinned, as dependencies are. */
const CHECKERS = { '@cdktf/hcl2json': '0.21.0', 'kubernetes-models': '5.1.0', yaml: '2.8.1' };

/** Throws SetupError for the first file that is not what its scheduler reads. */
export async function checkFiles() {
  const files = readdirSync(join(root, 'deploy'), { recursive: true, encoding: 'utf8' }).map((name) =>
    join(root, 'deploy', name),
  );
  for (const file of files) {
    const text = () => readFileSync(file, 'utf8');
    if (file.endsWith('.hcl')) await checked(file, async () => checkJob(await jobIn(file)));
    if (file.endsWith('.yaml')) await checked(file, async () => await checkManifests(file));
    if (file.endsWith('.json')) await checked(file, () => JSON.parse(text()));
  }
}

async function checked(file, work) {
  try {
    await work();
  } catch (error) {
    throw new SetupError(`${file.slice(root.length + 1)}: ${error.message}`);
  }
}

/** The job in a file, as HCL's parser makes JSON of it. */
export async function jobIn(file) {
  const { parse } = await (await checker())('@cdktf/hcl2json');
  return await parse(file, readFileSync(file, 'utf8'));
}

/** The manifests in a file. */
export async function manifestsIn(file) {
  const { parseAllDocuments } = await (await checker())('yaml');
  return parseAllDocuments(readFileSync(file, 'utf8')).map((document) => {
    if (document.errors.length > 0) throw document.errors[0];
    return document.toJS();
  });
}

/** Loads one of them: a module is looked up from where the one lies that asks for it. */
async function checker() {
  const { load } = await import(pathToFileURL(join(fetched(), 'load.mjs')).href);
  return load;
}

/** The directory that has them. */
function fetched() {
  const dir = cacheDir('checkers');
  const wanted = JSON.stringify({ private: true, dependencies: CHECKERS });
  const file = join(dir, 'package.json');
  // It comes last, so that what was interrupted counts as nothing.
  const loader = join(dir, 'load.mjs');
  if (existsSync(loader) && readFileSync(file, 'utf8') === wanted) return dir;
  say('fetching what checks the files of deploy/');
  mkdirSync(dir, { recursive: true });
  rmSync(loader, { force: true });
  writeFileSync(file, wanted);
  const flags = ['--ignore-scripts', '--no-audit', '--no-fund', '--no-package-lock', '--loglevel=error'];
  command('npm', ['install', ...flags], { cwd: dir });
  writeFileSync(loader, 'export const load = (name) => import(name);\n');
  return dir;
}

/** The parser knows blocks and expressions, not Nomad: what a job needs is looked for here. */
function checkJob({ job = {} }) {
  const tasks = Object.values(job).flatMap(([{ group = {} }]) =>
    Object.values(group).flatMap(([{ task = {} }]) => Object.values(task)),
  );
  if (tasks.length === 0) throw new Error('no job with a group and a task');
  for (const [{ driver, config, kill_timeout: patience }] of tasks) {
    if (!['docker', 'raw_exec'].includes(driver)) throw new Error(`no such driver: ${driver}`);
    if (config?.[0] === undefined) throw new Error('a task without config');
    if (patience !== '90s') throw new Error('less time to stop than a drain may take');
  }
}

/** Values by the schemas, and by the types, which alone know what is no field at all. */
async function checkManifests(file) {
  const load = await checker();
  const typed = [];
  for (const manifest of await manifestsIn(file)) {
    const { apiVersion, kind } = manifest;
    const module = `kubernetes-models/${apiVersion}/${kind}`;
    const { [kind]: Model } = await load(module);
    try {
      new Model(manifest).validate();
    } catch (error) {
      throw new Error(`${kind} ${manifest.metadata?.name}: ${error.message}`);
    }
    typed.push(`(${JSON.stringify(manifest)}) satisfies import('${module}').I${kind};`);
  }
  const dir = fetched();
  const program = join(dir, 'manifest.mts');
  writeFileSync(program, typed.join('\n'));
  const flags = ['--noEmit', '--strict', '--skipLibCheck', '--module', 'nodenext', '--types', ''];
  command(process.execPath, [join(root, 'node_modules', 'typescript', 'bin', 'tsc'), ...flags, program], { cwd: dir });
}
