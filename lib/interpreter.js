'use strict';

/**
 * Finds the Python to run inside Node: which interpreter, why that one, and where its shared library is.
 *
 * The search is one generator. It yields each child-process command it needs and gets the outcome back, so that the
 * asynchronous and the synchronous entry share every decision.
 */

const childProcess = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const { create } = require('./errors');

const OLDEST = [3, 8];
const PROBE_TIMEOUT = 10_000;
const FLOODED = new Set(['ERR_CHILD_PROCESS_STDIO_MAXBUFFER', 'ENOBUFS']);

// Runs on any Python 3, so that an old one can still say how old it is. `-S` skips site, which saves half of the time,
// but leaves a venv's sys.prefix at the base prefix: venvs are recognised by pyvenv.cfg instead.
const PROBE = `
import json, sys, sysconfig
var = sysconfig.get_config_var
answer = {name: var(name) for name in (
    'LDLIBRARY', 'INSTSONAME', 'LIBDIR', 'LIBPL', 'MULTIARCH', 'Py_GIL_DISABLED', 'PYTHONFRAMEWORKPREFIX')}
answer.update(
    version=list(sys.version_info[:3]),
    implementation=sys.implementation.name,
    executable=sys.executable,
    base_executable=getattr(sys, '_base_executable', None),
    base_prefix=sys.base_prefix,
    platlibdir=getattr(sys, 'platlibdir', None),
    abiflags=getattr(sys, 'abiflags', ''))
print(json.dumps(answer))
`;

/**
 * @typedef {'option' | 'NODE_ASGI_PYTHON' | 'VIRTUAL_ENV' | 'venv' | 'CONDA_PREFIX' | 'PATH'} Source
 * @typedef {{ candidate: string, source: Source, reason: string }} Rejected
 * @typedef {object} Interpreter
 * @property {string} executable the interpreter as it names itself: for a venv the path inside the venv
 * @property {string} realExecutable the base interpreter's file, links resolved
 * @property {string} programName what CPython is told it was started as; not resolved, or a venv would be lost
 * @property {string} version such as '3.11.2'
 * @property {number[]} versionInfo
 * @property {'cpython'} implementation
 * @property {string} prefix the venv folder, or the base prefix
 * @property {string} basePrefix
 * @property {boolean} isVenv
 * @property {string} libpython real path of the first shared library found
 * @property {string[]} libpythonCandidates all that exist, best first: what they hold is known only after loading
 * @property {Source} source
 * @property {string} chosenBecause
 * @property {Rejected[]} rejected
 * @property {boolean} freeThreaded
 * @typedef {object} FindOptions
 * @property {string} [python] interpreter or venv folder; binding
 * @property {string} [docroot] where the search for a `.venv` or `venv` starts
 * @property {NodeJS.ProcessEnv} [env]
 * @property {number} [probeTimeout] ms one interpreter has to answer
 * @typedef {{ file: string, args: string[], env: NodeJS.ProcessEnv, timeout: number }} Command
 * @typedef {{ stdout: string, stderr: string, exitCode: number | string | null, signal: string | null,
 *   timedOut: boolean, startError: string | null }} Outcome
 */

/**
 * The search order. `candidates` yields what a source offers; an explicit source is never passed over.
 * @type {{ source: Source, label: string, explicit?: true, absent: string, candidates: Function }[]}
 */
const SOURCES = [
  {
    source: 'option', label: 'option python', explicit: true, absent: 'not given',
    * candidates({ python, env }) {
      if (python === undefined || python === null) return;
      yield { shown: String(python), file: locateChoice(python, env), because: 'The option python names it.' };
    },
  },
  {
    source: 'NODE_ASGI_PYTHON', label: 'NODE_ASGI_PYTHON', explicit: true, absent: 'not set',
    * candidates({ env }) {
      const choice = env.NODE_ASGI_PYTHON;
      if (choice) yield { shown: choice, file: locateChoice(choice, env), because: 'NODE_ASGI_PYTHON names it.' };
    },
  },
  folderOf('VIRTUAL_ENV', 'virtual'),
  {
    source: 'venv', label: '.venv or venv from the docroot upward', absent: 'none has a pyvenv.cfg',
    * candidates({ docroot }) {
      for (let folder = docroot; ; folder = path.dirname(folder)) {
        for (const name of ['.venv', 'venv']) {
          const venv = path.join(folder, name);
          if (!isFile(path.join(venv, 'pyvenv.cfg'))) continue;
          const because = `It is the nearest usable virtual environment from ${docroot} upward.`;
          yield { shown: venv, file: venv, because };
        }
        if (path.dirname(folder) === folder) return;
      }
    },
  },
  folderOf('CONDA_PREFIX', 'conda'),
  {
    source: 'PATH', label: 'python3, python on PATH', absent: 'neither is there',
    * candidates({ env }) {
      for (const name of ['python3', 'python']) {
        for (const file of onPath(name, env)) {
          yield { shown: file, file, because: `It is the first usable ${name} on PATH.` };
        }
      }
    },
  },
];

function folderOf(source, kind) {
  return {
    source, label: source, absent: 'not set',
    * candidates({ env }) {
      const folder = env[source];
      if (folder) yield { shown: folder, file: folder, because: `${source} names the active ${kind} environment.` };
    },
  };
}

/** @type {(options?: FindOptions) => Promise<Interpreter>} */
async function findInterpreter(options) {
  const steps = search(options);
  let step = steps.next();
  while (!step.done) step = steps.next(await run(step.value));
  return step.value;
}

/** @type {(options?: FindOptions) => Interpreter} */
function findInterpreterSync(options) {
  const steps = search(options);
  let step = steps.next();
  while (!step.done) step = steps.next(runSync(step.value));
  return step.value;
}

/** @returns {Generator<Command, Interpreter, Outcome>} */
function* search({ python, docroot, env = process.env, probeTimeout = PROBE_TIMEOUT } = {}) {
  const context = { python, docroot: path.resolve(docroot ?? process.cwd()), env, timeout: probeTimeout };
  /** @type {Rejected[]} */
  const rejected = [];
  const tried = [];
  let withoutLibrary = null;

  for (const { source, label, explicit, absent, candidates } of SOURCES) {
    let offered = false;
    for (const candidate of candidates(context)) {
      offered = true;
      try {
        return { ...yield* examine({ source, ...candidate }, context), rejected };
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        const { reason, fix } = error;
        const refused = { source, label, shown: candidate.shown, reason, fix };
        if (explicit) throw errorOf(refused, rejected, tried);
        rejected.push({ candidate: candidate.shown, source, reason });
        tried.push(`  - ${label}: ${candidate.shown} ${reason}`);
        if (fix) withoutLibrary ??= refused;
      }
    }
    if (!offered) tried.push(`  - ${label}: ${absent}`);
  }

  if (withoutLibrary) throw errorOf(withoutLibrary, rejected, tried);
  throw create('ERR_PYTHON_NOT_FOUND', [
    'No usable Python was found. Tried, in this order:', ...tried,
    'Install one with its shared library (Debian, Ubuntu: `apt install python3 libpython3.x`, with the x that ' +
    '`python3 --version` tells), or name one with the option python or with NODE_ASGI_PYTHON.',
  ].join('\n'), { rejected });
}

/** Why a candidate cannot be used, as the rest of a sentence. `fix`: nothing but the shared library is missing. */
class Refusal extends Error {
  constructor(reason, fix) {
    super(reason);
    Object.assign(this, { reason, fix });
  }
}

function errorOf({ source, label, shown, reason, fix }, rejected, tried) {
  const extra = { candidate: shown, source, reason, rejected };
  if (!fix) {
    return create('ERR_PYTHON_UNUSABLE', `The Python of ${label} cannot be used: ${shown || '""'} ${reason}. ` +
      `Expected the path of a CPython ${OLDEST.join('.')} or newer, or of a virtual environment folder. ` +
      'No other is tried: an explicit choice is binding.', extra);
  }
  const list = rejected.length > 0 ? `\nTried, in this order:\n${tried.join('\n')}` : '';
  return create('ERR_PYTHON_NO_SHARED_LIBRARY', `The Python of ${label}, ${shown}, ${reason}.\n${fix}${list}`, extra);
}

/** @returns {Generator<Command, Omit<Interpreter, 'rejected'>, Outcome>} */
function* examine({ source, shown, file: place, because }, { env, timeout }) {
  const file = locate(place, shown);
  const answer = yield* probe(file, env, timeout);
  const version = answer.version.join('.');

  const { implementation, version: [major, minor] } = answer;
  const tooOld = major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1]);
  if (implementation !== 'cpython') throw new Refusal(`is ${implementation} ${version}: only CPython can be embedded`);
  if (tooOld) throw new Refusal(`is Python ${version}, and ${OLDEST.join('.')} is the oldest supported`);

  const executable = path.isAbsolute(answer.executable || '') ? answer.executable : file;
  const realExecutable = realPath(answer.base_executable || executable) ?? realPath(executable) ?? executable;
  const venv = venvOf(executable);
  const { found, names, folders } = findLibraries(answer, realExecutable);
  if (found.length === 0) {
    throw new Refusal(`is Python ${version} (${executable}) without a shared library; looked for ` +
      `${names.join(', ')} in ${folders.join(', ')}`, libraryFix(`${major}.${minor}`));
  }
  yield* rehearse(file, env, timeout);
  return {
    executable,
    realExecutable,
    programName: executable,
    version,
    versionInfo: [...answer.version],
    implementation,
    prefix: venv ?? answer.base_prefix,
    basePrefix: answer.base_prefix,
    isVenv: venv !== null,
    libpython: found[0],
    libpythonCandidates: found,
    source,
    chosenBecause: because,
    freeThreaded: Boolean(answer.Py_GIL_DISABLED),
  };
}

/** By path, real path, mtime and pyenv's choice. Failures are not kept, so that a repair is seen at once. */
const answers = new Map();

function* probe(file, env, timeout) {
  const key = [file, realPath(file), statOf(file)?.mtimeMs, env.PYENV_VERSION ?? ''].join('\0');
  const known = answers.get(key);
  if (known) return known;
  const outcome = yield { file, args: ['-I', '-S', '-c', PROBE], env, timeout };
  const answer = parseAnswer(outcome.stdout);
  if (!answer) throw new Refusal(explainSilence(outcome, timeout));
  answers.set(key, answer);
  return answer;
}

/** Variables of the environment that decide what Python imports before its first line of code. */
const STARTUP_VARIABLES = ['PYTHONHOME', 'PYTHONPATH', 'PYTHONPLATLIBDIR'];

/** What has started with which values. @type {Set<string>} */
const rehearsed = new Set();

/**
 * A Python that cannot start ends its process, and here that process would be Node. The probe runs isolated from the
 * environment, so where the environment has a say, a child tries it first.
 */
function* rehearse(file, env, timeout) {
  const set = STARTUP_VARIABLES.filter((name) => env[name]);
  const key = [file, ...set.map((name) => `${name}=${env[name]}`)].join('\0');
  if (set.length === 0 || rehearsed.has(key)) return;
  const outcome = yield { file, args: ['-c', ''], env, timeout };
  if (outcome.exitCode === 0) {
    rehearsed.add(key);
    return;
  }
  const said = /^Fatal Python error: (.*)$/m.exec(outcome.stderr)?.[1] ?? explainSilence(outcome, timeout);
  throw new Refusal(`does not start with ${set.map((name) => `${name}=${env[name]}`).join(' and ')} in the environment ` +
    `(${said}): unset or correct ${set.length > 1 ? 'them' : 'it'}`);
}

/** A wrapper script may print before the answer, and a sanitizer may spoil the exit code after it. */
function parseAnswer(stdout) {
  const line = stdout.split('\n').reverse().find((text) => text.startsWith('{'));
  const answer = attempt(() => JSON.parse(line));
  const { version, implementation, base_prefix: base } = answer ?? {};
  const whole = Array.isArray(version) && version.length === 3 && version.every(Number.isInteger);
  return whole && typeof implementation === 'string' && typeof base === 'string' ? answer : null;
}

/** @param {Outcome} outcome */
function explainSilence({ stderr, exitCode, signal, timedOut, startError }, timeout) {
  if (timedOut) return `did not answer within ${timeout} ms`;
  if (FLOODED.has(startError)) return 'printed more than a Python would answer';
  if (startError) return `could not be started (${startError})`;
  if (signal) return `crashed with ${signal}`;
  if (/Unknown option: -I/.test(stderr)) return `is a Python 2, and ${OLDEST.join('.')} is the oldest supported`;
  const said = stderr.trim().split('\n').pop().slice(0, 300) || 'nothing';
  if (exitCode !== 0) return `exited with code ${exitCode} instead of telling its version, saying: ${said}`;
  return 'ran without telling its version: it is no Python interpreter';
}

/** @returns {Promise<Outcome>} */
function run({ file, args, env, timeout }) {
  return new Promise((resolve) => {
    const done = (error, stdout, stderr) => {
      const timedOut = Boolean(error?.killed) && !FLOODED.has(error.code);
      resolve(outcomeOf(error ? error.code : 0, error?.signal, timedOut, stdout, stderr));
    };
    try {
      const child = childProcess.execFile(file, args, { env, timeout, killSignal: 'SIGKILL' }, done);
      child.stdin?.on('error', () => {}).end();
    } catch (error) {
      done(error, '', '');  // Some failures to start are thrown, others reported: ENOEXEC is thrown.
    }
  });
}

/** @returns {Outcome} */
function runSync({ file, args, env, timeout }) {
  const { error, status, signal, stdout, stderr } = childProcess.spawnSync(file, args, {
    env, timeout, killSignal: 'SIGKILL', encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'],
  });
  return outcomeOf(error ? error.code : status, signal, error?.code === 'ETIMEDOUT', stdout, stderr);
}

/** @returns {Outcome} */
function outcomeOf(code, signal, timedOut, stdout, stderr) {
  const startError = typeof code === 'string' && !timedOut ? code : null;
  return { stdout: stdout ?? '', stderr: stderr ?? '', exitCode: code, signal, timedOut, startError };
}

/** The file an explicit choice means: a path, or a bare command name that is looked up on PATH. */
function locateChoice(choice, env) {
  if (typeof choice !== 'string' || choice === '') return '';
  if (choice.includes(path.sep) || fs.existsSync(path.resolve(choice, 'bin'))) return choice;
  return onPath(choice, env).next().value ?? choice;
}

/** The interpreter's file for a path that is one or is a folder with one in `bin`. */
function locate(place, shown) {
  if (place === '') throw new Refusal(`is ${shown === '' ? 'an empty path' : 'no path'}`);
  const given = path.resolve(place);
  const stat = statOf(given);
  if (!stat) throw new Refusal(linkTarget(given) ?? 'does not exist');
  if (!stat.isDirectory()) return executableFile(given, '');
  const inside = ['python', 'python3'].map((name) => path.join(given, 'bin', name));
  const file = inside.find(isFile);
  if (file) return executableFile(file, 'has an interpreter that ');
  const broken = inside.map(linkTarget).find(Boolean);
  throw new Refusal(broken ? `has an interpreter that ${broken}` : 'is a folder without bin/python');
}

function executableFile(file, prefix) {
  if (!isFile(file)) throw new Refusal(`${prefix}is no file`);
  if (!isExecutable(file)) throw new Refusal(`${prefix}is not executable`);
  return file;
}

/** A venv outlives the Python it was made with, or is copied to where that is missing: its links then lead nowhere. */
function linkTarget(file) {
  const target = attempt(() => fs.readlinkSync(file));
  return target && `is a link to ${target}, which does not exist`;
}

/** Executable files of that name on PATH. The same file in a folder met by another name (/bin, /usr/bin) comes once. */
function* onPath(name, env) {
  const seen = new Set();
  for (const entry of (env.PATH ?? '').split(path.delimiter)) {
    if (entry === '') continue;
    const file = path.resolve(entry, name);
    // By folder and not by the file's target: a venv's python resolves to the very file that /usr/bin/python3 does.
    const folder = realPath(path.dirname(file));
    if (folder === null || seen.has(folder)) continue;
    seen.add(folder);
    if (isFile(file) && isExecutable(file)) yield file;
  }
}

/** CPython's own rule: pyvenv.cfg beside the unresolved executable or one folder up. */
function venvOf(executable) {
  const bin = path.dirname(executable);
  return [path.dirname(bin), bin].find((folder) => isFile(path.join(folder, 'pyvenv.cfg'))) ?? null;
}

/**
 * What the build says about itself is a hint only: Debian and conda state Py_ENABLE_SHARED wrongly, standalone builds
 * report folders of the machine they were built on, and Red Hat ships the versioned name alone.
 */
function findLibraries(answer, realExecutable) {
  const stem = `libpython${answer.version[0]}.${answer.version[1]}${answer.abiflags ?? ''}`;
  const names = unique(answer.INSTSONAME, answer.LDLIBRARY, `${stem}.so.1.0`, `${stem}.so`, `${stem}.dylib`)
    .filter((name) => !name.endsWith('.a'));
  const base = answer.base_prefix;
  const folders = unique(
    answer.LIBDIR,
    path.join(base, 'lib'),
    path.join(base, 'lib64'),
    answer.platlibdir && path.join(base, answer.platlibdir),
    path.join(path.dirname(realExecutable), '..', 'lib'),
    answer.LIBPL,
    answer.MULTIARCH && `/usr/lib/${answer.MULTIARCH}`,
    answer.PYTHONFRAMEWORKPREFIX);
  const files = names.flatMap((name) => folders.map((folder) => path.join(folder, name))).filter(isFile);
  return { found: unique(...files.map(realPath)), names, folders };
}

function libraryFix(version) {
  return [
    'It needs libpython as a shared library. To get one:',
    `  - Debian, Ubuntu: apt install libpython${version}`,
    '  - Fedora, Red Hat: dnf install python3-libs, or the -libs package of that version',
    `  - pyenv: PYTHON_CONFIGURE_OPTS=--enable-shared pyenv install ${version}`,
    `  - uv and conda ship one: uv venv --managed-python --python ${version}, or conda create -n app python=${version}`,
  ].join('\n');
}

function unique(...values) {
  return [...new Set(values.filter(Boolean))];
}

/** File system questions where a failure is an answer: no. */
function attempt(question) {
  try {
    return question();
  } catch {
    return null;
  }
}

const statOf = (file) => attempt(() => fs.statSync(file));
const realPath = (file) => attempt(() => fs.realpathSync(file));
const isFile = (file) => statOf(file)?.isFile() ?? false;
const isExecutable = (file) => attempt(() => fs.accessSync(file, fs.constants.X_OK)) !== null;

module.exports = { findInterpreter, findInterpreterSync };
