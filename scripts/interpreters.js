'use strict';

/** The Pythons of this machine that tests run with. */

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

/** 3.8 is supported as well as it goes: see docs/python-selection.md. */
const MINORS = ['3.8', '3.9', '3.10', '3.11', '3.12', '3.13'];
const SYSTEM = '/usr/bin/python3';

/**
 * The newest of each minor version that pyenv has, and the system's own.
 * @returns {{label: string, executable: string | undefined}[]} undefined: not installed
 */
function interpreters() {
  const pyenv = path.join(process.env.PYENV_ROOT ?? path.join(os.homedir(), '.pyenv'), 'versions');
  const installed = fs.existsSync(pyenv) ? fs.readdirSync(pyenv) : [];
  const patch = (name) => Number(name.split('.')[2]);
  const found = MINORS.map((minor) => {
    const [newest] = installed
      .filter((name) => new RegExp(`^${minor.replace('.', '\\.')}\\.\\d+$`).test(name))
      .sort((a, b) => patch(b) - patch(a));
    return { label: `CPython ${minor}`, executable: newest && path.join(pyenv, newest, 'bin', 'python') };
  });
  return [...found, { label: `system (${SYSTEM})`, executable: fs.existsSync(SYSTEM) ? SYSTEM : undefined }];
}

module.exports = { interpreters };
