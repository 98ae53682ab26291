'use strict';

/**
 * `npm run instructions`: counts the instructions of the native hot path (bench/native/hot_path.cc) under callgrind, which
 * gives the same figure on a busy machine. bench/instructions.json holds the figure that a change may not exceed by more
 * than 5 %.
 *
 *   node scripts/instructions.js [--update]      --update: makes today's figure the one to keep
 */

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const { SetupError, buildPreset, main, root, run, setup } = require('./setup.js');

const RECORD = path.join(root, 'bench', 'instructions.json');
const PROGRAM = path.join(root, 'build', 'cmake', 'bench', 'bench', 'native', 'hot_path');
/** The first of both counts what happens once; only the difference is per request. */
const [FEW, MANY] = [640, 2560];
const MAY_RISE = 1.05;

/** Instructions by object file, of a file that callgrind has written. @param {string} file */
function byObject(file) {
  const names = new Map();
  const counts = new Map();
  let object = '';
  let ofCall = false;
  for (const line of fs.readFileSync(file, 'utf8').split('\n')) {
    const found = /^(c?)ob=\((\d+)\)(?: (.*))?$/.exec(line); // cob: of a function that is called
    if (found) {
      if (found[3] !== undefined) names.set(found[2], found[3]);
      if (found[1] === '') object = names.get(found[2]);
    } else if (line.startsWith('calls=')) {
      ofCall = true; // the next line is the cost of what was called, which is counted where it was spent
    } else if (/^[+*\d-]/.test(line)) {
      if (!ofCall) counts.set(object, (counts.get(object) ?? 0) + Number(line.split(' ')[1]));
      ofCall = false;
    }
  }
  return counts;
}

function count(requests) {
  const file = path.join(root, 'build', 'bench', `callgrind.${requests}`);
  fs.mkdirSync(path.dirname(file), { recursive: true });
  // Hashes that differ from run to run would make dicts of other shapes.
  run('valgrind', ['--tool=callgrind', `--callgrind-out-file=${file}`, PROGRAM, String(requests), path.join(root, 'bench', 'drivers')],
    { env: { PYTHONHASHSEED: '0' } });
  return byObject(file);
}

/** What the figure depends on beside the code. */
function circumstances() {
  return {
    compiler: run('c++', ['--version']).stdout.split('\n')[0],
    python: run('/usr/bin/python3', ['--version'], { allowFailure: true }).stdout.trim(),
    arch: process.arch,
  };
}

/** @returns {{own: number, total: number}} instructions for each request: of our own code, and of all */
function measure() {
  if (spawnSync('valgrind', ['--version']).error) throw new SetupError('valgrind is not installed: sudo apt-get install valgrind');
  buildPreset('bench');
  const few = count(FEW);
  const many = count(MANY);
  const perRequest = (counts) => (object) => (counts.get(object) ?? 0) / (MANY - FEW);
  const sum = (counts) => [...counts.keys()].map(perRequest(counts)).reduce((all, one) => all + one, 0);
  return {
    own: Math.round(perRequest(many)(PROGRAM) - perRequest(few)(PROGRAM)),
    total: Math.round(sum(many) - sum(few)),
  };
}

/** As a step of `npm test`: {passed, failed, skipped} by name. */
function instructions() {
  const name = 'instructions of the native hot path';
  const kept = JSON.parse(fs.readFileSync(RECORD, 'utf8'));
  const { compiler, arch } = circumstances();
  if (kept.compiler !== compiler || kept.arch !== arch) {
    return { passed: 0, failed: [], skipped: [`${name}: kept for ${kept.compiler} on ${kept.arch}, this is ${compiler} on ${arch}`] };
  }
  let now;
  try {
    now = measure();
  } catch (error) {
    if (!(error instanceof SetupError) || !/not installed/.test(error.message)) throw error;
    return { passed: 0, failed: [], skipped: [`${name}: ${error.message}`] };
  }
  console.log(`${now.own} instructions of our own for each request, ${kept.own} kept; ${now.total} with Python and libc`);
  if (now.own <= kept.own * MAY_RISE) return { passed: 1, failed: [], skipped: [] };
  return { passed: 0, failed: [`${name}: ${now.own}, more than ${MAY_RISE} times the ${kept.own} of bench/instructions.json`], skipped: [] };
}

module.exports = { instructions };

if (require.main === module) {
  main(() => {
    setup();
    if (process.argv.includes('--update')) {
      const record = { ...circumstances(), ...measure() };
      fs.writeFileSync(RECORD, `${JSON.stringify(record, null, 2)}\n`);
      console.log(`kept ${record.own}`);
      return;
    }
    const { failed, skipped } = instructions();
    for (const what of [...skipped, ...failed]) console.log(what);
    process.exitCode = failed.length > 0 ? 1 : 0;
  });
}
