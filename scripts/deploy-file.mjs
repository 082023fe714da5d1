// Checks the files of deploy/ by what others know of their formats: HCL's own parser, and the schemas of Kubernetes. The checkers are no
// dependencies of the clone, being larger than all of it: they are fetched into a directory of their own.
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { cacheDir, command } from './docker-engine.mjs';
import { SetupError, say } from './say.mjs';
import { root } from './setup.mjs';

/** Pinned, as dependencies are. */
const CHECKERS = { '@cdktf/hcl2json': '0.21.0', 'kubernetes-models': '5.1.0', yaml: '2.8.1' };

/** Throws SetupError for the first file that is not what its scheduler reads. */
export async function checkFiles() {
  // A module is looked up from where the one lies that asks for it.
  const dir = fetched();
  const { load } = await import(pathToFileURL(join(dir, 'load.mjs')).href);
  const files = readdirSync(join(root, 'deploy'), { recursive: true, encoding: 'utf8' }).map((name) =>
    join(root, 'deploy', name),
  );
  for (const file of files) {
    const text = () => readFileSync(file, 'utf8');
    if (file.endsWith('.hcl')) await checked(file, async () => checkJob(await hcl(load, text())));
    if (file.endsWith('.yaml')) await checked(file, async () => await checkManifests(load, dir, text()));
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

/** The directory that has them. */
function fetched() {
  const dir = cacheDir('checkers');
  const wanted = JSON.stringify({ private: true, dependencies: CHECKERS });
  const file = join(dir, 'package.json');
  if (existsSync(join(dir, 'node_modules')) && readFileSync(file, 'utf8') === wanted) return dir;
  say('fetching what checks the files of deploy/');
  mkdirSync(dir, { recursive: true });
  writeFileSync(file, wanted);
  writeFileSync(join(dir, 'load.mjs'), 'export const load = (name) => import(name);\n');
  const flags = ['--ignore-scripts', '--no-audit', '--no-fund', '--no-package-lock', '--loglevel=error'];
  command('npm', ['install', ...flags], { cwd: dir });
  return dir;
}

async function hcl(load, text) {
  const { parse } = await load('@cdktf/hcl2json');
  return await parse('job.hcl', text);
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
async function checkManifests(load, dir, text) {
  const { parseAllDocuments } = await load('yaml');
  const typed = [];
  for (const document of parseAllDocuments(text)) {
    if (document.errors.length > 0) throw document.errors[0];
    const manifest = document.toJS();
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
  const file = join(dir, 'manifest.mts');
  writeFileSync(file, typed.join('\n'));
  const flags = ['--noEmit', '--strict', '--skipLibCheck', '--module', 'nodenext', '--types', ''];
  command(process.execPath, [join(root, 'node_modules', 'typescript', 'bin', 'tsc'), ...flags, file], { cwd: dir });
}
