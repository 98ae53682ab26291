'use strict';

/**
 * `npm test`: sets the checkout up and runs every kind of test there is. A step that ran nothing
 * has failed. The last line is 'N passed, N failed[, N skipped]'.
 *
 *   node scripts/test.js [step ...]      only these steps: lint dev asan tsan fuzz instructions jest core nodes conformance soak bench python types
 */

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const { conformance } = require('./conformance.js');
const { fuzz } = require('./fuzz.js');
const { instructions } = require('./instructions.js');
const { interpreters } = require('./interpreters.js');
const { lint } = require('./lint.js');
const { nodes } = require('./nodes.js');
const { buildPreset, main, root, run, setup, venvPython } = require('./setup.js');

/**
 * What a step found, by the tests' names.
 * @typedef {{passed: number, failed: string[], skipped: string[]}} Result
 */

const reports = path.join(root, 'build', 'test');
/** `npm run soak` takes ten minutes. */
const SOAK_SECONDS = 60;
/** For each target; docs/fuzzing.md has the long run. */
const FUZZ_SECONDS = 5;
const stepTimeoutMs = 20 * 60 * 1000;

const node = process.execPath;
const jestBin = path.join(root, 'node_modules', 'jest', 'bin', 'jest.js');

/** Runs a test runner with its output shown; returns why it ended badly, or undefined. */
function runTests(command, args, env = {}) {
  const result = spawnSync(command, args, {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    timeout: stepTimeoutMs,
    killSignal: 'SIGKILL',
    env: { ...process.env, ...env },
  });
  if (result.error) return `${path.basename(command)}: ${result.error.message}`;
  return result.status === 0 ? undefined : `exit ${result.status ?? result.signal}`;
}

/** A fresh place for a runner's report, so that an old one is never counted. */
function reportFile(name) {
  fs.mkdirSync(reports, { recursive: true });
  const file = path.join(reports, name);
  fs.rmSync(file, { force: true });
  return file;
}

const decode = (text) =>
  text.replace(/&(lt|gt|quot|apos|amp);/g, (_, name) => ({ lt: '<', gt: '>', quot: '"', apos: "'", amp: '&' })[name]);

/**
 * Reads the test cases of a JUnit file, as ctest and pytest write them.
 * @param {string} file
 * @returns {Result}
 */
function readJUnit(file) {
  const result = { passed: 0, failed: [], skipped: [] };
  if (!fs.existsSync(file)) return result;
  const cases = /<testcase\b((?:[^>"]|"[^"]*")*?)(?:\/>|>([\s\S]*?)<\/testcase>)/g;
  for (const [, attributes, body = ''] of fs.readFileSync(file, 'utf8').matchAll(cases)) {
    const name = decode(/\bname="([^"]*)"/.exec(attributes)?.[1] ?? '?');
    if (/<(failure|error)\b/.test(body)) result.failed.push(name);
    else if (/<skipped\b/.test(body)) result.skipped.push(name);
    else result.passed += 1;
  }
  return result;
}

/** @returns {Result} */
function readJest(file) {
  const result = { passed: 0, failed: [], skipped: [] };
  if (!fs.existsSync(file)) return result;
  for (const suite of JSON.parse(fs.readFileSync(file, 'utf8')).testResults) {
    const where = path.relative(root, suite.name);
    for (const { status, fullName } of suite.assertionResults) {
      if (status === 'passed') result.passed += 1;
      else if (status === 'failed') result.failed.push(`${where}: ${fullName}`);
      else result.skipped.push(`${where}: ${fullName}`);
    }
    const counted = suite.assertionResults.some(({ status }) => status === 'failed');
    if (suite.status === 'failed' && !counted) result.failed.push(`${where}: did not run to its end`);
  }
  return result;
}

/** A runner that ended badly without naming a failed test is itself the failure. */
function withEnding(result, problem) {
  if (problem && result.failed.length === 0) result.failed.push(problem);
  return result;
}

function jest(name, args, env, binary = node) {
  const file = reportFile(`${name}.json`);
  const problem = runTests(binary, [jestBin, '--runInBand', '--json', `--outputFile=${file}`, ...args], env);
  return withEnding(readJest(file), problem);
}

function native(preset) {
  buildPreset(preset);
  const file = reportFile(`ctest-${preset}.xml`);
  const jobs = String(os.availableParallelism());
  const problem = runTests('ctest', ['--preset', preset, '-j', jobs, '--output-junit', file]);
  return withEnding(readJUnit(file), problem);
}

/** The core suite with each of the given Nodes and Pythons. @param {{label: string, node?: string, python?: string}[]} pairs */
function coreOn(pairs) {
  const total = { passed: 0, failed: [], skipped: [] };
  for (const { label, node: binary, python } of pairs) {
    if (!binary || !python) {
      total.skipped.push(`${label}: not installed`);
      continue;
    }
    console.log(`\ncore on ${label}: ${binary} with ${python}`);
    const name = `core-${label.replace(/[^\w.]+/g, '-')}`;
    const result = jest(name, ['--config', 'test/core.config.js'], { NODE_ASGI_PYTHON: python }, binary);
    if (result.passed + result.failed.length === 0) result.failed.push('ran no test');
    total.passed += result.passed;
    total.failed.push(...result.failed.map((test) => `${label}: ${test}`));
    total.skipped.push(...result.skipped.map((test) => `${label}: ${test}`));
  }
  return total;
}

function pytest() {
  const file = reportFile('pytest.xml');
  const problem = runTests(venvPython, ['-m', 'pytest', '-q', 'test/python', `--junit-xml=${file}`]);
  return withEnding(readJUnit(file), problem);
}

/** Each file of test/types is one test: it passes when the compiler has nothing to say about it. */
function types() {
  const args = ['node_modules/typescript/bin/tsc', '-p', 'test/types', '--pretty', 'false'];
  const { ok, output } = run(node, args, { allowFailure: true });
  if (!ok) console.log(output);
  const files = fs.readdirSync(path.join(root, 'test', 'types')).filter((file) => file.endsWith('.ts'));
  const failed = files.filter((file) => output.includes(`test/types/${file}(`));
  const result = { passed: files.length - failed.length, failed, skipped: [] };
  return withEnding(result, ok ? undefined : 'tsc found errors outside test/types');
}

/** @type {Record<string, () => Result>} */
const steps = {
  lint: () => {
    const { passed, failed } = lint();
    return { passed: passed.length, failed, skipped: [] };
  },
  dev: () => native('dev'),
  asan: () => native('asan'),
  tsan: () => native('tsan'),
  fuzz: () => fuzz(FUZZ_SECONDS),
  instructions,
  jest: () => jest('jest', []),
  core: () => coreOn(interpreters().map(({ label, executable }) => ({ label, node, python: executable }))),
  nodes: () => coreOn(nodes().map(({ label, binary }) => ({ label, node: binary, python: venvPython }))),
  conformance,
  soak: () => {
    const problem = runTests(node, [path.join(root, 'scripts', 'soak.js'), String(SOAK_SECONDS)], { NODE_ASGI_PYTHON: venvPython });
    return { passed: problem ? 0 : 1, failed: problem ? [problem] : [], skipped: [] };
  },
  bench: () => {
    // That every scenario runs: one short round measures nothing.
    const problem = runTests(node, [path.join(root, 'bench', 'run.js'), '--short']);
    return { passed: problem ? 0 : 1, failed: problem ? [`bench --short: ${problem}`] : [], skipped: [] };
  },
  python: pytest,
  types,
};

function count({ passed, failed, skipped }) {
  const more = skipped.length ? `, ${skipped.length} skipped` : '';
  return `${passed} passed, ${failed.length} failed${more}`;
}

/** Runs the named steps, or all, and returns whether everything passed. */
function testAll(names) {
  const unknown = names.filter((name) => !(name in steps));
  if (unknown.length) {
    console.error(`expected steps of: ${Object.keys(steps).join(' ')}; got: ${unknown.join(' ')}`);
    return false;
  }
  setup();
  const total = { passed: 0, failed: [], skipped: [] };
  const lines = [];
  for (const name of names.length ? names : Object.keys(steps)) {
    console.log(`\n== ${name}`);
    const start = Date.now();
    let result;
    try {
      result = steps[name]();
    } catch (error) {
      console.error(error.message);
      result = { passed: 0, failed: [error.message.split('\n')[0]], skipped: [] };
    }
    if (result.passed + result.failed.length + result.skipped.length === 0) result.failed.push('ran no test');
    lines.push(`${name.padEnd(8)} ${count(result)} (${((Date.now() - start) / 1000).toFixed(1)} s)`);
    console.log(lines.at(-1));
    total.passed += result.passed;
    total.failed.push(...result.failed.map((test) => `${name}: ${test}`));
    total.skipped.push(...result.skipped.map((test) => `${name}: ${test}`));
  }
  console.log('\n== summary');
  for (const line of lines) console.log(line);
  for (const test of total.skipped) console.log(`SKIPPED  ${test}`);
  for (const test of total.failed) console.log(`FAILED   ${test}`);
  console.log(count(total));
  return total.failed.length === 0;
}

module.exports = { readJUnit, readJest };

if (require.main === module) {
  main(() => {
    process.exitCode = testAll(process.argv.slice(2)) ? 0 : 1;
  });
}
