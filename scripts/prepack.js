'use strict';

/** Before `npm pack` and `npm publish`: stages the binary for this machine in prebuilds/, without its symbols. */

const fs = require('node:fs');
const path = require('node:path');

const { main, root, run, setup } = require('./setup.js');

/** As lib/binding.js looks for it. */
function folderName() {
  const { report, platform, arch } = process;
  report.excludeNetwork = true;
  const musl = platform === 'linux' && !report.getReport().header.glibcVersionRuntime;
  return `${platform}-${arch}${musl ? '-musl' : ''}`;
}

/** Other platforms' binaries, which a release has gathered there, stay. */
function stage() {
  const folder = path.join(root, 'prebuilds', folderName());
  const addon = path.join(folder, 'node_asgi.node');
  fs.mkdirSync(folder, { recursive: true });
  fs.copyFileSync(path.join(root, 'build', 'cmake', 'release', 'node_asgi.node'), addon);
  run('strip', process.platform === 'darwin' ? ['-x', addon] : ['--strip-unneeded', addon]);
}

main(() => {
  const log = console.log;
  console.log = console.error; // npm pack --json prints on stdout
  setup();
  stage();
  console.log = log;
});
