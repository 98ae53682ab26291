'use strict';

/**
 * Makes a checkout ready to run: system packages, node_modules, .venv and the native builds. Needs
 * nothing but Node, does only what is missing, and is quick when nothing is.
 *
 *   node scripts/setup.js [--dev] [preset ...]      presets: release (always), dev, asan, tsan
 */

const { spawnSync } = require('node:child_process');
const crypto = require('node:crypto');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const root = path.resolve(__dirname, '..');
const python = fs.existsSync('/usr/bin/python3') ? '/usr/bin/python3' : 'python3';
const venvPython = path.join(root, '.venv', 'bin', 'python');

// A '|' separates packages of which any one will do.
const debianPackages = [
  'cmake', 'ninja-build', 'g++', 'make', 'git', 'libboost-dev|libboost1.81-dev', 'libgtest-dev',
  'python3', 'python3-dev', 'python3-venv', 'libpython3-dev', 'clang-format', 'chromium',
  'clang', 'libclang-rt-14-dev|libclang-rt-19-dev', 'valgrind',
];

// Used only where PyPI cannot be reached: fewer frameworks, other versions.
const debianPythonPackages = [
  'python3-django', 'python3-fastapi', 'python3-httptools', 'python3-httpx', 'python3-hypercorn',
  'python3-multipart', 'python3-numpy', 'python3-pytest', 'python3-quart', 'python3-starlette',
  'python3-uvicorn', 'python3-uvloop', 'python3-websockets',
];

/** An expected problem: printed without a stack trace. */
class SetupError extends Error {}

/**
 * Runs a command in the project's root and returns what it printed.
 * @param {string} command
 * @param {string[]} args
 * @param {{env?: Record<string, string>, allowFailure?: boolean}} [options]
 */
function run(command, args, options = {}) {
  const result = spawnSync(command, args, {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 256 * 1024 * 1024,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...options.env },
  });
  const output = `${result.stdout ?? ''}${result.stderr ?? ''}`;
  const ok = !result.error && result.status === 0;
  if (!ok && !options.allowFailure) {
    const ended = result.error?.message ?? `exit ${result.status ?? result.signal}`;
    throw new SetupError(`${[command, ...args].join(' ')}: ${ended}\n${output.slice(-8000)}`);
  }
  return { ok, output, stdout: result.stdout ?? '' };
}

/**
 * Does one step and prints one line: what it was, what came of it, how long it took.
 * @param {string} name
 * @param {() => string} action returns a few words for the line
 */
function step(name, action) {
  const start = process.hrtime.bigint();
  const words = action();
  const seconds = Number(process.hrtime.bigint() - start) / 1e9;
  console.log(`setup  ${name.padEnd(18)} ${words.padEnd(44)} ${seconds.toFixed(1).padStart(6)} s`);
}

const hashOf = (...files) => {
  const hash = crypto.createHash('sha256');
  for (const file of files) hash.update(fs.readFileSync(path.join(root, file)));
  return hash.digest('hex');
};

const readOr = (file, fallback) => {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch {
    return fallback;
  }
};

function checkNode() {
  const major = Number(process.versions.node.split('.')[0]);
  if (major < 20) throw new SetupError(`expected Node 20 or newer, found ${process.version}`);
  return process.version;
}

/** The given packages that dpkg does not report as installed. */
function missingPackages(packages) {
  const format = '${Package} ${db:Status-Status}\n';
  const names = packages.flatMap((entry) => entry.split('|'));
  const listed = run('dpkg-query', ['-W', '-f', format, ...names], { allowFailure: true }).stdout;
  const installed = new Set(
    listed.split('\n').filter((line) => line.endsWith(' installed')).map((line) => line.split(' ')[0]),
  );
  return packages.filter((entry) => !entry.split('|').some((name) => installed.has(name)));
}

/** Names stand for themselves or, between bars, for the first of them that this Debian has. @param {string[]} packages */
function aptInstall(packages) {
  const isRoot = process.getuid() === 0;
  if (isRoot) run('apt-get', ['update']);
  const known = new Set(run('apt-cache', ['pkgnames']).stdout.split('\n'));
  const chosen = packages.map((entry) => {
    const names = entry.split('|');
    return names.find((name) => known.has(name)) ?? names[0];
  });
  const install = ['install', '-y', '--no-install-recommends', ...chosen];
  if (!isRoot) {
    throw new SetupError(
      `these Debian packages are missing. Run this line and try again:\n  sudo apt-get update && sudo apt-get ${install.join(' ')}`,
    );
  }
  run('apt-get', install, { env: { DEBIAN_FRONTEND: 'noninteractive' } });
}

function ensurePackages() {
  if (!run('dpkg-query', ['--version'], { allowFailure: true }).ok) {
    return 'not Debian: CMake, Ninja, Boost, GoogleTest needed';
  }
  const missing = missingPackages(debianPackages);
  if (missing.length === 0) return 'present';
  aptInstall(missing);
  return `installed ${missing.join(' ')}`;
}

function ensureNodeModules() {
  const stamp = path.join(root, 'node_modules', '.node-asgi-stamp');
  const wanted = hashOf('package-lock.json');
  if (readOr(stamp, '') === wanted) return 'current';
  // No package here needs its install script: what is native in them comes prebuilt.
  run('npm', ['ci', '--include=dev', '--ignore-scripts', '--no-audit', '--no-fund']);
  fs.writeFileSync(stamp, wanted);
  return 'installed from package-lock.json';
}

/** Debian's own Python packages, seen through a venv that includes them. */
function venvFromDebian() {
  run('apt-get', ['update'], { allowFailure: true });
  const known = run('apt-cache', ['pkgnames', 'python3-']).stdout.split('\n');
  const available = debianPythonPackages.filter((name) => known.includes(name));
  const missing = missingPackages(available);
  if (missing.length > 0) aptInstall(missing);
  run(python, ['-m', 'venv', '--clear', '--system-site-packages', '.venv']);
}

function ensureVenv() {
  const requirements = path.join('requirements', 'test.txt');
  const stamp = path.join(root, '.venv', '.node-asgi-stamp');
  const version = run(python, ['--version']).stdout.trim();
  const wanted = `${hashOf(requirements)} ${version}`;
  const found = readOr(stamp, '');
  if (found === wanted) return 'current';

  run(python, ['-m', 'venv', '--clear', '.venv']);
  const pip = ['-m', 'pip', 'install', '--disable-pip-version-check', '--no-input', '-r', requirements];
  const result = run(venvPython, pip, { allowFailure: true });
  if (result.ok) {
    fs.writeFileSync(stamp, wanted);
    return `${version}, requirements/test.txt`;
  }
  // pip retries only when the index does not answer; a wrong pin fails at once, and is ours to fix.
  if (!/Retrying \(Retry/.test(result.output)) {
    throw new SetupError(`pip install -r ${requirements} failed\n${result.output.slice(-4000)}`);
  }
  console.log('setup  WARNING: PyPI cannot be reached; taking Debian\'s Python packages instead.');
  console.log('setup  WARNING: some frameworks will be missing or of other versions than pinned.');
  venvFromDebian();
  // No stamp: the next run tries PyPI again.
  return `${version}, Debian's packages`;
}

/**
 * Configures (when needed) and builds one CMake preset.
 * @param {string} preset
 */
function buildPreset(preset) {
  const folder = path.join(root, 'build', 'cmake', preset);
  const cache = readOr(path.join(folder, 'CMakeCache.txt'), '');
  const configured =
    fs.existsSync(path.join(folder, 'build.ninja')) &&
    cache.includes(`CMAKE_HOME_DIRECTORY:INTERNAL=${root}\n`) &&
    cache.includes(`NODE_EXECUTABLE:FILEPATH=${process.execPath}\n`);
  if (!configured) {
    run('cmake', ['--preset', preset, '--fresh', `-DNODE_EXECUTABLE:FILEPATH=${process.execPath}`]);
  }
  const jobs = String(os.availableParallelism());
  const { output } = run('cmake', ['--build', '--preset', preset, '-j', jobs]);
  return /no work to do/.test(output) ? 'current' : 'built';
}

/**
 * All of the set-up.
 * @param {string[]} [presets] CMake presets to build beside release
 */
function setup(presets = []) {
  step('node', checkNode);
  step('system packages', ensurePackages);
  step('node_modules', ensureNodeModules);
  step('.venv', ensureVenv);
  for (const preset of new Set(['release', ...presets])) {
    step(`build ${preset}`, () => buildPreset(preset));
  }
}

/** Runs an action and turns an expected problem into a short message and exit code 1. */
function main(action) {
  try {
    action();
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    console.error(`setup  FAILED: ${error.message}`);
    process.exit(1);
  }
}

module.exports = { SetupError, aptInstall, buildPreset, hashOf, main, missingPackages, python, root, run, setup, venvPython };

if (require.main === module) {
  const presets = process.argv.slice(2).map((argument) => argument.replace(/^--/, ''));
  main(() => setup(presets));
}
