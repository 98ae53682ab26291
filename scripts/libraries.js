'use strict';

/** Pythons with libraries that have native code, for test/js/libraries.test.js. */

const fs = require('node:fs');
const path = require('node:path');

const { SetupError, aptInstall, hashOf, missingPackages, python, root, run } = require('./setup.js');

const debianPackages = [
  'python3-aiohttp', 'python3-cryptography', 'python3-grpcio', 'python3-httpx', 'python3-lxml', 'python3-numpy',
  'python3-pandas', 'python3-pil', 'python3-pydantic', 'python3-torch', 'python3-uvloop',
];

/** A venv with the wheels of requirements/libraries.txt. @returns {string | undefined} its Python; undefined: no PyPI */
function wheelsPython() {
  const folder = path.join(root, 'build', 'venvs', 'libraries');
  const file = path.join(folder, 'bin', 'python');
  const stamp = path.join(folder, '.node-asgi-stamp');
  const wanted = hashOf(path.join('requirements', 'libraries.txt'));
  if (fs.existsSync(stamp) && fs.readFileSync(stamp, 'utf8') === wanted) return file;
  run(python, ['-m', 'venv', '--clear', folder]);
  const { ok, output } = run(file, ['-m', 'pip', 'install', '-q', '--disable-pip-version-check', '--only-binary', ':all:',
    '-r', path.join('requirements', 'libraries.txt')], { allowFailure: true });
  if (!ok) {
    console.log(`requirements/libraries.txt could not be installed: ${output.trim().split('\n').at(-1)}`);
    return undefined;
  }
  fs.writeFileSync(stamp, wanted);
  return file;
}

/** Debian's Python with its packages; those that cannot be installed are missing. @returns {string | undefined} */
function debianPython() {
  if (!fs.existsSync('/etc/debian_version') || !fs.existsSync('/usr/bin/python3')) return undefined;
  try {
    const missing = missingPackages(debianPackages);
    if (missing.length > 0) aptInstall(missing);
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    console.log(error.message);
  }
  return '/usr/bin/python3';
}

module.exports = { debianPython, wheelsPython };
