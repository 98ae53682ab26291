'use strict';

const { execFileSync } = require('node:child_process');
const crypto = require('node:crypto');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const { filesUnder } = require('../../scripts/check-layers.js');

const root = path.resolve(__dirname, '../..');
const buildTimeoutMs = 10 * 60 * 1000;

/** Builds a copy of the sources with node-gyp, unless the copy is of these very sources already. */
function buildWithNodeGyp() {
  const copy = path.join(root, 'build', 'gyp-check');
  const addon = path.join(copy, 'build', 'Release', 'node_asgi.node');
  const stamp = path.join(copy, 'stamp');

  const files = ['binding.gyp', ...filesUnder(root, 'src', ['.cc', '.h', '.gypi'])];
  const hash = crypto.createHash('sha256').update(process.version);
  for (const file of files) hash.update(file).update(fs.readFileSync(path.join(root, file)));
  const wanted = hash.digest('hex');
  if (fs.existsSync(addon) && fs.existsSync(stamp) && fs.readFileSync(stamp, 'utf8') === wanted) {
    return addon;
  }

  // With their times kept, make compiles only what has changed since the last copy.
  fs.rmSync(path.join(copy, 'src'), { recursive: true, force: true });
  for (const file of files) {
    fs.cpSync(path.join(root, file), path.join(copy, file), { preserveTimestamps: true });
  }
  const nodedir = path.resolve(fs.realpathSync(process.execPath), '../..');
  const gyp = path.join(root, 'node_modules', 'node-gyp', 'bin', 'node-gyp.js');
  const run = (...args) =>
    execFileSync(process.execPath, [gyp, ...args, '--release', `--nodedir=${nodedir}`], {
      cwd: copy,
      stdio: 'pipe',
    });
  run('configure');
  run('build', '--jobs', String(os.availableParallelism()));
  fs.writeFileSync(stamp, wanted);
  return addon;
}

const builds = {
  'CMake release': () => path.join(root, 'build', 'cmake', 'release', 'node_asgi.node'),
  'node-gyp': buildWithNodeGyp,
};

describe.each(Object.entries(builds))('the addon built by %s', (_name, build) => {
  let addon;

  beforeAll(() => {
    addon = build();
  }, buildTimeoutMs);

  test('loads and exports PythonHandler', () => {
    const script = `process.stdout.write(typeof require(${JSON.stringify(addon)}).PythonHandler)`;
    expect(execFileSync(process.execPath, ['-e', script], { encoding: 'utf8' })).toBe('function');
  });

  test('needs no libpython at load time and stays loaded', () => {
    if (process.platform !== 'linux') return;
    const dynamic = execFileSync('readelf', ['-d', addon], { encoding: 'utf8' });
    expect(dynamic).toMatch(/NEEDED.*libc\.so/);
    expect(dynamic).not.toMatch(/NEEDED.*libpython/);
    expect(dynamic).toMatch(/FLAGS_1.*NODELETE/);
  });
});
