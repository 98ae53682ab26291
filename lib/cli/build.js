'use strict';

/** `node-asgi build`: makes the addon where no prebuilt one fits. */

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const { UsageError } = require('./usage-error');

const root = path.resolve(__dirname, '../..');

const HELP = `Usage: npx node-asgi build

Builds the native addon from the package's sources into build/Release, with node-gyp. Needs a C++20 compiler, make and
Boost's headers (Debian: sudo apt-get install g++ make libboost-dev). Without network access, name the folder whose
include/node has Node's headers: npm_config_nodedir=/usr npx node-asgi build
`;

/** The node-gyp that npm brings, or one that is installed. */
function nodeGyp() {
  const beside = path.join(path.dirname(fs.realpathSync(process.execPath)), '..', 'lib', 'node_modules', 'npm');
  for (const folder of [path.dirname(process.env.npm_execpath ?? ''), path.join(beside, 'bin')]) {
    const file = path.join(folder, '..', 'node_modules', 'node-gyp', 'bin', 'node-gyp.js');
    if (fs.existsSync(file)) return [process.execPath, file];
  }
  return ['node-gyp'];
}

/** @param {string[]} args */
function build(args) {
  if (args.includes('--help') || args.includes('-h')) {
    process.stdout.write(HELP);
    return;
  }
  if (args.length > 0) throw new UsageError(`build takes no arguments, got ${args.join(' ')}`);
  const [command, ...first] = nodeGyp();
  const headers = path.resolve(path.dirname(fs.realpathSync(process.execPath)), '..');
  const nodedir = process.env.npm_config_nodedir ?? (fs.existsSync(path.join(headers, 'include/node/node_api.h')) ? headers : undefined);
  const options = nodedir === undefined ? [] : [`--nodedir=${nodedir}`];
  // Not `rebuild`, which would delete all of build/.
  const { status, error } = spawnSync(command, [...first, 'configure', 'build', ...options], { cwd: root, stdio: 'inherit' });
  if (error) throw new Error(`node-gyp cannot be run (${error.message}): npm install -g node-gyp`);
  process.exitCode = status ?? 1;
}

module.exports = { build };
