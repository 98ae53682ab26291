'use strict';

/** The package as a user gets it: packed, installed into an empty folder without install scripts, and used. */

const { execFileSync, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const { interpreters } = require('../../scripts/interpreters');
const { venvPython } = require('../../scripts/setup');

const root = path.resolve(__dirname, '../..');
const minutes = (count) => count * 60_000;

let folder;
let packed;
let project;
let installed;

/** npm with as little talk as it can; what it fetches comes from its cache when it is there. */
function npm(args, cwd, options = {}) {
  return execFileSync('npm', [...args, '--no-audit', '--no-fund', '--prefer-offline'],
    { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], ...options });
}

/** A folder with an app, into which the tarball was installed. */
function install(name, command = npm) {
  const where = path.join(folder, name);
  fs.mkdirSync(where);
  fs.writeFileSync(path.join(where, 'package.json'), '{"private": true}');
  fs.writeFileSync(path.join(where, 'main.py'), `import ssl, sys

async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-python", sys.version.split()[0].encode())]})
    await send({"type": "http.response.body", "body": sys.prefix.encode()})
`);
  command(['install', '--ignore-scripts', packed.tarball], where);
  return where;
}

const ASK = `
  const { PythonHandler } = require('node-asgi');
  const python = new PythonHandler({ docroot: process.cwd(), target: 'main:app', python: process.argv[1] });
  python.handleRequest({ url: '/' }).then(async (response) => {
    console.log(JSON.stringify([response.status, response.headers.get('x-python'), response.text()]));
    await python.close();
  });`;

/** The environment of a user: nothing of the checkout's. */
function userEnv() {
  const env = { ...process.env };
  delete env.NODE_ASGI_BINARY;
  delete env.NODE_ASGI_PYTHON;
  return env;
}

function run(args, where, options = {}) {
  return spawnSync(process.execPath, args, { cwd: where, encoding: 'utf8', timeout: minutes(1), env: userEnv(), ...options });
}

beforeAll(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'node-asgi-package-'));
  const [report] = JSON.parse(npm(['pack', '--json', '--pack-destination', folder], root));
  packed = { ...report, tarball: path.join(folder, report.filename), paths: report.files.map((file) => file.path) };
  project = install('project');
  installed = path.join(project, 'node_modules', 'node-asgi');
}, minutes(5));

afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

test('holds what a user needs, and nothing else', () => {
  const allowed = [
    /^(package\.json|README\.md|CHANGELOG\.md|LICENSE|index\.d\.ts|binding\.gyp|bin\/node-asgi\.js)$/,
    /^lib\/([\w-]+\/)*[\w-]+\.(js|mjs|d\.ts|py)$/,
    /^src\/([\w-]+\/)*[\w-]+\.(cc|h)$/, /^src\/(sources\.gypi|README\.md)$/,
    /^prebuilds\/[\w-]+\/node_asgi\.node$/,
  ];
  expect(packed.paths.filter((file) => !allowed.some((pattern) => pattern.test(file)))).toEqual([]);
  expect(packed.paths).toEqual(expect.arrayContaining([
    `prebuilds/${process.platform}-${process.arch}/node_asgi.node`, 'lib/python/node_asgi/loop.py', 'binding.gyp',
  ]));
  expect(packed.unpackedSize).toBeLessThan(2_000_000);
});

test('has no install script, and npm makes none of binding.gyp', () => {
  const manifest = JSON.parse(fs.readFileSync(path.join(installed, 'package.json'), 'utf8'));
  expect(manifest.gypfile).toBe(false);
  expect(Object.keys(manifest.scripts).filter((name) => /install|prepare/.test(name))).toEqual([]);
  const lock = JSON.parse(fs.readFileSync(path.join(project, 'package-lock.json'), 'utf8'));
  expect(lock.packages['node_modules/node-asgi'].hasInstallScript).toBeUndefined();
});

test('brings two packages along', () => {
  const brought = fs.readdirSync(path.join(project, 'node_modules')).filter((name) => !name.startsWith('.'));
  expect(brought.sort()).toEqual(['node-addon-api', 'node-asgi', 'ws']);
});

const pythons = [...interpreters(), { label: 'the venv of the tests', executable: venvPython }];
for (const { label, executable } of pythons) {
  (executable ? test : test.skip)(`the first request of a new project answers 200 on ${label}`, () => {
    const { stdout, stderr, status } = run(['-e', ASK, executable], project);
    expect([status, stderr]).toEqual([0, '']);
    const told = execFileSync(executable, ['-c', 'import sys; print(sys.version.split()[0], sys.prefix)'], { encoding: 'utf8' });
    const [version, prefix] = told.trim().split(' ');
    expect(JSON.parse(stdout)).toEqual([200, version, prefix]);
  });
}

test('npm 12, which runs no install scripts, installs it as well', () => {
  const twelve = path.join(folder, 'npm12');
  fs.mkdirSync(twelve);
  npm(['install', '--ignore-scripts', '--prefix', twelve, 'npm@12'], twelve);
  const cli = path.join(twelve, 'node_modules', 'npm', 'bin', 'npm-cli.js');
  const versions = [];
  const where = install('project12', (args, cwd) => {
    versions.push(run([cli, '--version'], cwd).stdout.trim());
    const { status, stderr } = run([cli, ...args.filter((arg) => arg !== '--ignore-scripts'), '--no-audit', '--no-fund', '--prefer-offline'], cwd);
    expect([status, stderr]).toEqual([0, expect.not.stringContaining('ERR!')]);
  });
  expect(versions[0]).toMatch(/^12\./);
  const { stdout } = run(['-e', ASK, venvPython], where);
  expect(JSON.parse(stdout)[0]).toBe(200);
}, minutes(3));

test('import and require give the same classes, also from the other entries', () => {
  fs.writeFileSync(path.join(project, 'entries.mjs'), `
    import { createRequire } from 'node:module';
    import { PythonHandler } from 'node-asgi';
    import plugin from 'node-asgi/fastify';
    import * as compat from 'node-asgi/compat';
    const require = createRequire(import.meta.url);
    console.log(PythonHandler === require('node-asgi').PythonHandler, typeof plugin, Object.keys(compat).includes('Python'));
  `);
  const { stdout, stderr } = run(['entries.mjs'], project);
  expect([stdout, stderr]).toEqual(['true function true\n', '']);
});

test('npx node-asgi doctor tells what pythonInfo() tells', () => {
  const { status, stdout, stderr } = run(['node_modules/.bin/node-asgi', 'doctor', '--python', venvPython], project);
  expect([status, stderr]).toEqual([0, '']);
  const { stdout: json } = run(['-e', `
    const { PythonHandler, pythonInfo } = require('node-asgi');
    const python = new PythonHandler({ docroot: process.cwd(), target: 'main:app', python: process.argv[1] });
    python.ready().then(async () => { console.log(JSON.stringify(pythonInfo())); await python.close(); });`, venvPython], project);
  const { rejected, ...info } = JSON.parse(json);
  expect(rejected).toEqual([]);
  for (const [name, value] of Object.entries(info)) expect(stdout).toMatch(new RegExp(`^${name} +${String(value).replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}$`, 'm'));
});

describe('where no binary fits', () => {
  let bare;
  beforeAll(() => {
    bare = path.join(folder, 'bare');
    fs.cpSync(project, bare, { recursive: true, verbatimSymlinks: true });
    fs.rmSync(path.join(bare, 'node_modules', 'node-asgi', 'prebuilds'), { recursive: true });
  });

  const machine = `${process.platform} ${process.arch} \\((glibc \\d+\\.\\d+|musl)\\), Node v\\d+`;

  test('the error names platform, architecture, C library and the command that helps', () => {
    const { status, stderr } = run(['-e', "require('node-asgi')"], bare);
    expect(status).toBe(1);
    expect(stderr).toMatch(new RegExp(`no node-asgi addon for ${machine}`));
    expect(stderr).toContain('npx node-asgi build');
    expect(stderr).toContain(path.join('prebuilds', `${process.platform}-${process.arch}`));
    expect(stderr).toContain('ERR_ASGI_BINARY');
  });

  test('so does the one about a binary that does not load', () => {
    const broken = path.join(folder, 'broken.node');
    fs.writeFileSync(broken, 'not an addon');
    const { status, stderr } = run(['-e', "require('node-asgi')"], bare, { env: { ...userEnv(), NODE_ASGI_BINARY: broken } });
    expect(status).toBe(1);
    expect(stderr).toMatch(new RegExp(`broken\\.node does not load on ${machine}[^:]*: `));
    expect(stderr).toContain('npx node-asgi build');
  });

  test('npx node-asgi build makes one without network, which then serves', () => {
    const offline = {
      ...userEnv(), JOBS: 'max', npm_config_offline: 'true',
      http_proxy: 'http://127.0.0.1:9', https_proxy: 'http://127.0.0.1:9',
    };
    const built = run(['node_modules/.bin/node-asgi', 'build'], bare, { env: offline, timeout: minutes(8) });
    expect([built.status, built.stdout.slice(-2000) + built.stderr.slice(-2000)]).toEqual([0, expect.stringContaining('gyp info ok')]);
    expect(fs.existsSync(path.join(bare, 'node_modules/node-asgi/build/Release/node_asgi.node'))).toBe(true);
    const { stdout } = run(['-e', ASK, venvPython], bare);
    expect(JSON.parse(stdout)[0]).toBe(200);
  }, minutes(9));
});

/** The newest version of glibc among the symbols that a binary wants. */
function glibcNeeded(binary) {
  const symbols = execFileSync('objdump', ['-T', binary], { encoding: 'utf8' });
  const versions = [...symbols.matchAll(/\(GLIBC_(\d+)\.(\d+)/g)].map(([, major, minor]) => [Number(major), Number(minor)]);
  return versions.sort((a, b) => a[0] - b[0] || a[1] - b[1]).at(-1).join('.');
}

(process.platform === 'linux' ? test : test.skip)('README tells which glibc the binary needs', () => {
  const needed = glibcNeeded(path.join(installed, 'prebuilds', `${process.platform}-${process.arch}`, 'node_asgi.node'));
  console.log(`the packed binary needs glibc ${needed}`);
  const readme = fs.readFileSync(path.join(root, 'README.md'), 'utf8');
  const [, documented] = /glibc (\d+\.\d+)/.exec(readme);
  // Built on an older system it needs less.
  expect(Number(needed.split('.')[1])).toBeLessThanOrEqual(Number(documented.split('.')[1]));
});
