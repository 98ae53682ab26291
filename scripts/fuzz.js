'use strict';

/**
 * Builds the fuzz targets of test/fuzz and runs each for a while. See docs/fuzzing.md.
 *
 *   node scripts/fuzz.js [seconds per target, default 10] [target ...]
 */

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const { buildPreset, main, root } = require('./setup.js');

const sources = path.join(root, 'test', 'fuzz');
const results = path.join(root, 'build', 'fuzz');
const inputTimeoutSeconds = 20;

const targets = () =>
  fs.readdirSync(sources).filter((file) => file.endsWith('_fuzz.cc')).map((file) => file.slice(0, -'_fuzz.cc'.length));

/** Why nothing can be fuzzed here, with the line that changes it; undefined when it can. */
function whatIsMissing() {
  fs.mkdirSync(results, { recursive: true });
  const probe = path.join(results, 'probe.cc');
  const program = path.join(results, 'probe');
  fs.writeFileSync(probe, 'extern "C" int LLVMFuzzerTestOneInput(const char*, unsigned long) { return 0; }\n');
  const built = spawnSync('clang++', ['-fsanitize=fuzzer,address,undefined', probe, '-o', program]);
  fs.rmSync(probe, { force: true });
  fs.rmSync(program, { force: true });
  if (built.status === 0) return undefined;
  const found = spawnSync('clang++', ['--version'], { encoding: 'utf8' });
  const major = /clang version (\d+)/.exec(found.stdout ?? '')?.[1] ?? '14';
  const what = found.error ? 'clang is not installed' : `clang ${major} has no libFuzzer or no sanitizers`;
  return `${what}: sudo apt-get install clang libclang-rt-${major}-dev`;
}

/** The lines that say what went wrong, of all that libFuzzer and the sanitizers printed. */
function report(output) {
  const lines = output.split('\n');
  const start = lines.findIndex((line) => /^BROKEN:|ERROR: |runtime error: /.test(line));
  return lines.slice(start < 0 ? -40 : start).slice(0, 60).join('\n');
}

/**
 * Runs one target; returns what went wrong, or undefined.
 * @param {string} target
 * @param {number} seconds
 */
function runTarget(target, seconds) {
  const found = path.join(results, 'corpus', target);
  const dictionary = path.join(sources, `${target}.dict`);
  fs.mkdirSync(found, { recursive: true });
  const start = Date.now();
  const { stdout, stderr, status, signal, error } = spawnSync(
    path.join(root, 'build', 'cmake', 'fuzz', 'test', 'fuzz', `${target}_fuzz`),
    [
      `-max_total_time=${seconds}`,
      `-timeout=${inputTimeoutSeconds}`,
      `-artifact_prefix=${path.join(results, `${target}-`)}`,
      // Looked for once, at the end: after each input it is slow with a Python in the process.
      '-detect_leaks=0',
      '-verbosity=0',
      '-print_final_stats=1',
      ...(fs.existsSync(dictionary) ? [`-dict=${dictionary}`] : []),
      found, // new inputs are written to the first folder only
      path.join(sources, 'corpus', target),
    ],
    {
      cwd: results,
      encoding: 'utf8',
      maxBuffer: 256 * 1024 * 1024,
      timeout: (seconds + 120) * 1000,
      killSignal: 'SIGKILL',
    },
  );
  const output = `${stdout ?? ''}${stderr ?? ''}`;
  const executions = Number(/^stat::number_of_executed_units:\s*(\d+)/m.exec(output)?.[1] ?? 0);
  const passed = !error && status === 0 && executions > 0;
  const took = ((Date.now() - start) / 1000).toFixed(1);
  const words = `${executions} executions${passed ? '' : ', FAILED'}`;
  console.log(`fuzz   ${target.padEnd(18)} ${words.padEnd(44)} ${took.padStart(6)} s`);
  if (passed) return undefined;

  console.error(report(output));
  if (/LeakSanitizer: detected memory leaks/.test(output)) return 'memory leaks, of no one input';
  const kept = /Test unit written to (\S+)/.exec(output)?.[1];
  if (kept) return `${path.basename(kept)} is kept in ${path.relative(root, results)}`;
  return error?.message ?? `exit ${status ?? signal}`;
}

/**
 * Fuzzes every target, or those named.
 * @param {number} [seconds] for each target
 * @param {string[]} [names]
 * @returns {{passed: number, failed: string[], skipped: string[]}} by the targets' names
 */
function fuzz(seconds = 10, names = targets()) {
  const missing = whatIsMissing();
  if (missing) return { passed: 0, failed: [], skipped: names.map((name) => `${name}: ${missing}`) };
  buildPreset('fuzz');
  const result = { passed: 0, failed: [], skipped: [] };
  for (const name of names) {
    const problem = runTarget(name, seconds);
    if (problem) result.failed.push(`${name}: ${problem}`);
    else result.passed += 1;
  }
  return result;
}

module.exports = { fuzz };

if (require.main === module) {
  main(() => {
    const [first, ...names] = process.argv.slice(2);
    const seconds = Number(first ?? 10);
    const unknown = names.filter((name) => !targets().includes(name));
    if (!Number.isInteger(seconds) || seconds < 1 || unknown.length) {
      console.error(`expected a number of seconds, then targets of: ${targets().join(' ')}`);
      process.exitCode = 1;
      return;
    }
    const { failed, skipped } = fuzz(seconds, names.length ? names : undefined);
    for (const line of skipped) console.log(`SKIPPED  ${line}`);
    for (const line of failed) console.log(`FAILED   ${line}`);
    process.exitCode = failed.length ? 1 : 0;
  });
}
