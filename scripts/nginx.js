'use strict';

/** The nginx that test/js/deployment.test.js runs. */

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const { root, run } = require('./setup.js');

/**
 * The one on PATH, or Debian's package unpacked below build/: installed, it would start a server on port 80.
 * @returns {string | undefined} undefined: there is none
 */
function nginx() {
  const works = (file) => spawnSync(file, ['-v'], { stdio: 'ignore' }).status === 0;
  for (const file of ['nginx', '/usr/sbin/nginx']) if (works(file)) return file;
  const folder = path.join(root, 'build', 'nginx');
  const file = path.join(folder, 'usr', 'sbin', 'nginx');
  if (works(file)) return file;
  fs.rmSync(folder, { recursive: true, force: true });
  fs.mkdirSync(folder, { recursive: true });
  run('sh', ['-c', `cd '${folder}' && apt-get download nginx && dpkg-deb -x nginx_*.deb .`], { allowFailure: true });
  return works(file) ? file : undefined;
}

module.exports = { nginx };
