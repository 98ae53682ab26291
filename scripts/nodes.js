'use strict';

/** The Nodes beside the one at hand that tests run with, from the npm package that carries them. */

const fs = require('node:fs');
const path = require('node:path');

const { root, run } = require('./setup.js');

/** The even ones that are maintained, and the newest. */
const VERSIONS = ['22.23.3', '24.21.0', '26.10.0'];

/** @returns {{label: string, binary: string | undefined}[]} undefined: it could not be fetched */
function nodes() {
  const current = process.versions.node.split('.')[0];
  return VERSIONS.filter((version) => version.split('.')[0] !== current).map((version) => {
    const folder = path.join(root, 'build', 'nodes', version);
    const name = `node-${process.platform}-${process.arch}`;
    const binary = path.join(folder, 'node_modules', name, 'bin', 'node');
    if (!fs.existsSync(binary)) {
      fs.mkdirSync(folder, { recursive: true });
      fs.writeFileSync(path.join(folder, 'package.json'), '{"private": true}');
      const install = ['install', '--prefix', folder, '--ignore-scripts', '--no-audit', '--no-fund', `${name}@${version}`];
      const { ok, output } = run('npm', install, { allowFailure: true });
      if (!ok) console.log(`Node ${version} could not be fetched: ${output.trim().split('\n').at(-1)}`);
    }
    return { label: `Node ${version}`, binary: fs.existsSync(binary) ? binary : undefined };
  });
}

module.exports = { nodes };
