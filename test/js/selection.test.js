'use strict';

/**
 * Real environments of every kind: what the app finds inside Node equals what their own `bin/python` finds.
 * How the search goes, and what it says of fakes and broken ones, is in interpreter.test.js.
 */

const { execFileSync, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const { interpreters } = require('../../scripts/interpreters');
const { root, run, venvPython } = require('../../scripts/setup');

const FACTS = path.join(root, 'fixtures', 'selection', 'facts.py');
const EMBEDDED = path.join(root, 'test', 'helpers', 'embedded-facts.js');
const installed = interpreters().filter(({ executable }) => executable);
const SYSTEM = installed.find(({ label }) => label.startsWith('system'))?.executable;
const OTHER = installed.findLast(({ label }) => label.startsWith('CPython'))?.executable;

let folder;
beforeAll(() => { folder = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'node-asgi-selection-'))); });
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

/** The environment of a user's shell, and what a test adds; null takes one away. */
function shell(more = {}) {
  const env = { PATH: '/usr/bin:/bin', HOME: os.homedir(), LANG: 'C.UTF-8', PYTHONDONTWRITEBYTECODE: '1', ...more };
  for (const [name, value] of Object.entries(env)) if (value === null) delete env[name];
  return env;
}

function embedded(python, env = shell()) {
  const { stdout, stderr, status, signal } = spawnSync(process.execPath, [EMBEDDED, ...(python ? [python] : [])], { encoding: 'utf8', env, timeout: 60_000 });
  if (status !== 0) throw new Error(`exit ${status ?? signal}: ${stdout}${stderr}`);
  return { ...JSON.parse(stdout), stderr };
}

const standalone = (python, env = shell()) => JSON.parse(execFileSync(python, [FACTS], { encoding: 'utf8', env }));

/** @param {string} place what the option names @param {string} python what answers for it by itself */
function expectSame(place, python, env) {
  const { facts, info, error, packed } = embedded(place, env);
  expect(error).toBeUndefined();
  const alone = standalone(python, env);
  // A zlib that is part of libpython, as in Debian's, binds to the one that Node exports: docs/python-selection.md.
  if (alone.zlib_built_in) alone.zlib = process.versions.zlib.split('-')[0];
  expect(facts).toEqual(alone);
  expect(execFileSync(python, [FACTS, packed], { encoding: 'utf8', env: env ?? shell() })).toBe('packed inside Node');
  expect(info).toMatchObject({ executable: facts.executable, prefix: facts.prefix, basePrefix: facts.base_prefix });
  return facts;
}

const bin = (venv) => path.join(venv, 'bin', 'python');
const makeVenv = (python, venv, ...args) => {
  execFileSync(python, ['-m', 'venv', ...args, venv], { env: shell() });
  return venv;
};

/** virtualenv and uv from PyPI, or why they are not there. */
function tools() {
  const venv = path.join(root, 'build', 'venvs', 'tools');
  if (!fs.existsSync(path.join(venv, 'bin', 'uv'))) {
    run(venvPython, ['-m', 'venv', '--clear', venv]);
    const { ok } = run(bin(venv), ['-m', 'pip', 'install', '-q', '--disable-pip-version-check', 'virtualenv==20.35.3', 'uv==0.9.5'], { allowFailure: true });
    if (!ok) return undefined;
  }
  return path.join(venv, 'bin');
}
const toolsBin = tools();
const testIf = (condition) => (condition ? test : test.skip);

for (const { label, executable } of installed) {
  test(`${label} by itself`, () => {
    expectSame(executable, executable);
  });

  test(`a venv of ${label}`, () => {
    const venv = makeVenv(executable, path.join(folder, `venv ${label.replace(/\W+/g, '-')}`), '--without-pip');
    const facts = expectSame(venv, bin(venv));
    expect(facts.prefix).toBe(venv);
  });
}

test('a venv with pip', () => {
  const venv = makeVenv(venvPython, path.join(folder, 'with-pip'));
  expectSame(venv, bin(venv));
});

test('a venv that sees the system packages', () => {
  const venv = makeVenv(installed[0].executable, path.join(folder, 'system-site'), '--without-pip', '--system-site-packages');
  expectSame(venv, bin(venv));
});

test('a .pth file adds to sys.path, and its code runs', () => {
  const venv = makeVenv(installed[0].executable, path.join(folder, 'pth'), '--without-pip');
  const [sitePackages] = standalone(bin(venv)).site_packages;
  fs.mkdirSync(path.join(folder, 'shared'));
  fs.writeFileSync(path.join(sitePackages, 'added.pth'), `${folder}/shared\nimport ssl, sys; sys.path.append("/by-code")\n`);
  const { path: found } = expectSame(venv, bin(venv));
  expect(found).toEqual(expect.arrayContaining([`${folder}/shared`, '/by-code']));
});

test('a venv that was moved', () => {
  const before = makeVenv(installed[0].executable, path.join(folder, 'before'), '--without-pip');
  const after = path.join(folder, 'after');
  fs.renameSync(before, after);
  expect(expectSame(after, bin(after)).prefix).toBe(after);
});

test('a venv that a link leads to', () => {
  const venv = makeVenv(installed[0].executable, path.join(folder, 'real'), '--without-pip');
  const link = path.join(folder, 'link');
  fs.symlinkSync(venv, link);
  expect(expectSame(link, bin(link)).prefix).toBe(link);
});

test('a venv of copies instead of links', () => {
  const venv = makeVenv(installed[0].executable, path.join(folder, 'copies'), '--without-pip', '--copies');
  expectSame(venv, bin(venv));
});

test('a venv whose base has gone is an error that says where its link leads', () => {
  const venv = makeVenv(installed[0].executable, path.join(folder, 'broken'), '--without-pip');
  for (const name of fs.readdirSync(path.join(venv, 'bin')).filter((file) => /^python/.test(file))) {
    fs.rmSync(path.join(venv, 'bin', name));
    fs.symlinkSync('/gone/bin/python3', path.join(venv, 'bin', name));
  }
  const { error } = embedded(venv);
  expect(error.code).toBe('ERR_PYTHON_UNUSABLE');
  expect(error.message).toContain('/gone/bin/python3, which does not exist');
});

testIf(toolsBin)('an environment that virtualenv made', () => {
  const venv = path.join(folder, 'virtualenv');
  execFileSync(path.join(toolsBin, 'virtualenv'), ['-q', '--no-download', '-p', installed[0].executable, venv], { env: shell() });
  expect(expectSame(venv, bin(venv)).prefix).toBe(venv);
});

testIf(toolsBin)('an environment that uv made', () => {
  const venv = path.join(folder, 'uv');
  execFileSync(path.join(toolsBin, 'uv'), ['venv', '-q', '--offline', '--python', installed[0].executable, venv], { env: shell() });
  expect(expectSame(venv, bin(venv)).prefix).toBe(venv);
});

// Made of a Python that has a folder of its own: the system's lives in /usr.
(OTHER ? describe : describe.skip)('a standalone build, as uv and rye bring them: relocated, with the folders of the machine that built it', () => {
  let home;
  beforeAll(() => {
    const { base_prefix: base } = standalone(OTHER);
    home = path.join(folder, 'standalone');
    const skipped = /\/(test|idlelib|site-packages|__pycache__|ensurepip|lib2to3|tkinter)$/;
    fs.cpSync(base, home, { recursive: true, verbatimSymlinks: true, filter: (file) => !skipped.test(file) });
    const library = path.join(home, 'lib', fs.readdirSync(path.join(home, 'lib')).find((name) => /^python3\.\d+$/.test(name)));
    const data = fs.readdirSync(library).find((name) => name.startsWith('_sysconfigdata'));
    const file = path.join(library, data);
    fs.writeFileSync(file, fs.readFileSync(file, 'utf8').replaceAll(base, '/install'));
  });

  test('finds the library beside it', () => {
    const python = path.join(home, 'bin', 'python3');
    const { facts, info } = embedded(python);
    expect(info.libpython.startsWith(path.join(home, 'lib'))).toBe(true);
    expect(facts.base_prefix).toBe(home);
    const venv = makeVenv(python, path.join(folder, 'of-standalone'), '--without-pip');
    expect(expectSame(venv, bin(venv)).prefix).toBe(venv);
  });

  test('without its library is an error that names what was tried and how to get one', () => {
    const bare = path.join(folder, 'without-library');
    fs.renameSync(home, bare);
    for (const name of fs.readdirSync(path.join(bare, 'lib'))) if (/^libpython/.test(name)) fs.rmSync(path.join(bare, 'lib', name));
    const { error } = embedded(path.join(bare, 'bin', 'python3'));
    expect(error.code).toBe('ERR_PYTHON_NO_SHARED_LIBRARY');
    expect(error.message).toMatch(/looked for libpython3\.\d+\.so\.1\.0.* in .*without-library\/lib/);
    expect(error.message).toMatch(/apt install libpython3\.\d+/);
    expect(error.message).toContain('--enable-shared');
  });
});

describe('the variables of the environment', () => {
  const python = () => installed[0].executable;

  test('a PYTHONHOME with which Python cannot start is an error, not the end of Node', () => {
    const { error } = embedded(python(), shell({ PYTHONHOME: '/nonexistent' }));
    expect(error.code).toBe('ERR_PYTHON_UNUSABLE');
    expect(error.message).toMatch(/does not start with PYTHONHOME=\/nonexistent in the environment \(.+\): unset or correct it/);
  });

  test('so is a PYTHONPATH that hides the standard library', () => {
    const hiding = path.join(folder, 'hiding');
    fs.mkdirSync(path.join(hiding, 'encodings'), { recursive: true });
    fs.writeFileSync(path.join(hiding, 'encodings', '__init__.py'), 'raise RuntimeError("not the real one")');
    const { error } = embedded(python(), shell({ PYTHONPATH: hiding }));
    expect(error.code).toBe('ERR_PYTHON_UNUSABLE');
    expect(error.message).toContain(`PYTHONPATH=${hiding}`);
  });

  test('right ones are followed', () => {
    const { base_prefix: home } = standalone(python());
    expectSame(python(), python(), shell({ PYTHONHOME: home }));
    const { path: found } = expectSame(python(), python(), shell({ PYTHONPATH: `${folder}/extra` }));
    expect(found).toContain(`${folder}/extra`);
  });

  test.each([[null], ['C'], ['POSIX'], ['xx_XX.nonsense']])('LANG %s: texts are UTF-8 all the same', (LANG) => {
    const { facts, stderr } = embedded(python(), shell({ LANG, LC_ALL: null }));
    expect(facts.encodings).toEqual(['utf-8', 'utf-8']);
    expect(stderr).toBe('');
  });

  testIf(SYSTEM)('without a choice, an activated environment is taken, else the python3 on PATH', () => {
    const venv = makeVenv(SYSTEM, path.join(folder, 'activated'), '--without-pip');
    const outside = { NODE_ASGI_PYTHON: null };
    // The checkout has a .venv above the app's folder, which comes after VIRTUAL_ENV.
    const { info } = embedded(undefined, shell({ ...outside, VIRTUAL_ENV: venv }));
    expect(info).toMatchObject({ source: 'VIRTUAL_ENV', prefix: venv });
    const { info: named } = embedded(undefined, shell({ NODE_ASGI_PYTHON: installed[0].executable, VIRTUAL_ENV: venv }));
    expect(named).toMatchObject({ source: 'NODE_ASGI_PYTHON', executable: installed[0].executable });
  });
});
