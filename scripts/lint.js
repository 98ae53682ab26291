'use strict';

/**
 * `npm run lint`: ESLint, the layer rule and clang-format. Runs all three, then fails if any did.
 */

const { spawnSync } = require('node:child_process');
const path = require('node:path');

const { checkTree, filesUnder } = require('./check-layers.js');

const root = path.resolve(__dirname, '..');

function command(program, args) {
  const result = spawnSync(program, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
  if (result.error) console.error(`${program} is needed here: ${result.error.message}`);
  return !result.error && result.status === 0;
}

const checks = {
  eslint: () => command(process.execPath, ['node_modules/eslint/bin/eslint.js', '--max-warnings', '0', '.']),
  layers: () => {
    const problems = checkTree(root);
    for (const problem of problems) console.error(problem);
    return problems.length === 0;
  },
  'clang-format': () => {
    const folders = ['src', 'test/native'];
    const files = folders.flatMap((folder) => filesUnder(root, folder, ['.cc', '.h']));
    return files.length > 0 && command('clang-format', ['--dry-run', '-Werror', ...files]);
  },
};

/** @returns {{passed: string[], failed: string[]}} names of the checks */
function lint() {
  const passed = [];
  const failed = [];
  for (const [name, check] of Object.entries(checks)) {
    const ok = check();
    (ok ? passed : failed).push(name);
    console.log(`lint   ${name}: ${ok ? 'ok' : 'FAILED'}`);
  }
  return { passed, failed };
}

module.exports = { lint };

if (require.main === module) process.exit(lint().failed.length ? 1 : 0);
