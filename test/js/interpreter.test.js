'use strict';

const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const SYSTEM_PYTHON = '/usr/bin/python3';
const PYENV_ROOT = process.env.PYENV_ROOT || path.join(os.homedir(), '.pyenv');

/** One entry of a module of its own, so that no answer in the cache of the other entry is met. */
function freshEntry(name) {
  let entry;
  jest.isolateModules(() => {
    entry = require('../../lib/interpreter.js')[name];
  });
  return async (options) => entry(options);
}

const entries = ['findInterpreter', 'findInterpreterSync'];

let temp;
beforeAll(() => {
  // Not below the checkout, where a .venv further up would be found; resolved, as macOS links its temp folder.
  temp = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'interpreter-')));
});
afterAll(() => fs.rmSync(temp, { recursive: true, force: true }));

const newFolder = (name = 'folder') => fs.mkdtempSync(path.join(temp, `${name}-`));

function writeScript(file, body, mode = 0o755) {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, `#!/bin/sh\n${body}\n`, { mode });
  return file;
}

/** A script that answers the probe as an interpreter with these values would, and counts how often it was asked. */
function fakePython(values = {}, file = path.join(newFolder('fake'), 'bin', 'python3')) {
  const prefix = path.dirname(path.dirname(file));
  const answer = {
    version: [3, 12, 4], implementation: 'cpython', executable: file, base_executable: file, base_prefix: prefix,
    platlibdir: 'lib', abiflags: '', LDLIBRARY: 'libpython3.12.so', INSTSONAME: 'libpython3.12.so.1.0',
    LIBDIR: path.join(prefix, 'lib'), LIBPL: null, MULTIARCH: null, Py_GIL_DISABLED: 0, PYTHONFRAMEWORKPREFIX: '',
    ...values,
  };
  return writeScript(file, `echo asked >> '${file}.asked'\necho banner\ncat <<'END'\n${JSON.stringify(answer)}\nEND`);
}

function withLibrary(file, name = 'libpython3.12.so.1.0', folder = 'lib') {
  const library = path.join(path.dirname(path.dirname(file)), folder, name);
  fs.mkdirSync(path.dirname(library), { recursive: true });
  fs.writeFileSync(library, '');
  return file;
}

const usablePython = (values, file) => withLibrary(fakePython(values, file));
const timesAsked = (file) => fs.readFileSync(`${file}.asked`, 'utf8').trim().split('\n').length;

/** A venv folder around a fake interpreter. */
function fakeVenv(folder) {
  usablePython({}, path.join(folder, 'bin', 'python'));
  fs.writeFileSync(path.join(folder, 'pyvenv.cfg'), 'home = /nowhere\n');
  return folder;
}

/** What the tests' environment offers, without the choices that the developer's own shell has made. */
const bareEnv = (more = {}) => ({ PATH: '/usr/bin:/bin', HOME: os.homedir(), ...more });

describe.each(entries)('%s', (name) => {
  const find = freshEntry(name);
  const failure = async (options) => {
    const error = await find(options).then(() => null, (reason) => reason);
    if (!error) throw new Error('expected the search to fail');
    return error;
  };

  test('returns a promise exactly when it is the asynchronous entry', async () => {
    const result = require('../../lib/interpreter.js')[name]({ python: usablePython(), env: bareEnv() });
    expect(result instanceof Promise).toBe(name === 'findInterpreter');
    await result;
  });

  const haveSystem = fs.existsSync(SYSTEM_PYTHON);
  (haveSystem ? describe : describe.skip)(`with the real ${SYSTEM_PYTHON}`, () => {
    const ask = (python, expression) =>
      execFileSync(python, ['-c', `import sys; print(${expression})`], { encoding: 'utf8' }).trim();
    let venv;
    beforeAll(() => {
      venv = path.join(newFolder('app'), 'env');
      execFileSync(SYSTEM_PYTHON, ['-m', 'venv', '--without-pip', venv]);
    });

    test('an interpreter named by the option is described as it describes itself', async () => {
      const found = await find({ python: SYSTEM_PYTHON, env: bareEnv() });
      expect(found).toMatchObject({
        executable: SYSTEM_PYTHON,
        programName: SYSTEM_PYTHON,
        realExecutable: fs.realpathSync(SYSTEM_PYTHON),
        version: ask(SYSTEM_PYTHON, '"%d.%d.%d" % sys.version_info[:3]'),
        implementation: 'cpython',
        prefix: ask(SYSTEM_PYTHON, 'sys.prefix'),
        basePrefix: ask(SYSTEM_PYTHON, 'sys.base_prefix'),
        isVenv: false,
        source: 'option',
        rejected: [],
        freeThreaded: false,
      });
      expect(found.version).toBe(found.versionInfo.join('.'));
      expect(found.chosenBecause).toMatch(/option python/);
      expect(found.libpython).toBe(found.libpythonCandidates[0]);
      expect(found.libpythonCandidates.every((file) => fs.realpathSync(file) === file)).toBe(true);
    });

    test('a venv folder keeps its own unresolved path as program name and takes the base library', async () => {
      const base = await find({ python: SYSTEM_PYTHON, env: bareEnv() });
      const found = await find({ python: venv, env: bareEnv() });
      expect(found).toMatchObject({
        executable: path.join(venv, 'bin', 'python'),
        programName: path.join(venv, 'bin', 'python'),
        realExecutable: base.realExecutable,
        prefix: ask(path.join(venv, 'bin', 'python'), 'sys.prefix'),
        basePrefix: base.basePrefix,
        isVenv: true,
        libpython: base.libpython,
      });
      expect(found.prefix).toBe(venv);
    });

    test("a venv's interpreter file is as good as its folder", async () => {
      const found = await find({ python: path.join(venv, 'bin', 'python3'), env: bareEnv() });
      expect(found).toMatchObject({ programName: path.join(venv, 'bin', 'python3'), prefix: venv, isVenv: true });
    });

    test('a venv reached through a link stays under the name it was given', async () => {
      const link = path.join(newFolder(), 'current');
      fs.symlinkSync(venv, link);
      const found = await find({ python: link, env: bareEnv() });
      expect(found).toMatchObject({ programName: path.join(link, 'bin', 'python'), prefix: link, isVenv: true });
      expect(ask(found.programName, 'sys.prefix')).toBe(link);
    });

    test('a venv made of copies finds the base library', async () => {
      const copied = path.join(newFolder(), 'env');
      execFileSync(SYSTEM_PYTHON, ['-m', 'venv', '--without-pip', '--copies', copied]);
      const base = await find({ python: SYSTEM_PYTHON, env: bareEnv() });
      const found = await find({ python: copied, env: bareEnv() });
      expect(found).toMatchObject({ prefix: copied, isVenv: true, libpython: base.libpython });
    });

    test('a relative path comes back absolute', async () => {
      const found = await find({ python: path.relative(process.cwd(), venv), env: bareEnv() });
      expect(found.programName).toBe(path.join(venv, 'bin', 'python'));
    });

    test('the environment of Node does not lead the probe astray', async () => {
      const hiding = newFolder();
      // What the probe imports, and what no Python needs to start.
      for (const name of ['json', 'sysconfig']) fs.writeFileSync(path.join(hiding, `${name}.py`), 'raise SystemExit(3)');
      const env = bareEnv({ PYTHONPATH: hiding, PYTHONSTARTUP: '/nonexistent' });
      const link = path.join(newFolder(), 'never-asked-before');
      fs.symlinkSync(venv, link);
      await expect(find({ python: link, env })).resolves.toMatchObject({ prefix: link });
    });

    test('an environment with which it could not start, which would end Node, is a reason to refuse it', async () => {
      const error = await failure({ python: venv, env: bareEnv({ PYTHONHOME: '/nonexistent' }) });
      expect(error).toMatchObject({ code: 'ERR_PYTHON_UNUSABLE' });
      expect(error.message).toMatch(/does not start with PYTHONHOME=\/nonexistent in the environment \(.+\): unset or correct it/);
    });

    test('that it starts in this environment is tried once', async () => {
      const env = bareEnv({ PYTHONPATH: newFolder() });
      const asked = path.join(newFolder(), 'asked');
      const wrapper = writeScript(path.join(newFolder(), 'python'), `echo "$1" >> '${asked}'\nexec '${venv}/bin/python' "$@"`);
      await find({ python: wrapper, env });
      await find({ python: wrapper, env });
      expect(fs.readFileSync(asked, 'utf8').trim().split('\n')).toEqual(['-I', '-c']);
    });

    test('a venv whose Python has gone says where its link leads', async () => {
      const orphan = path.join(newFolder(), 'env');
      execFileSync(SYSTEM_PYTHON, ['-m', 'venv', '--without-pip', orphan]);
      for (const name of fs.readdirSync(path.join(orphan, 'bin')).filter((file) => file.startsWith('python'))) {
        fs.unlinkSync(path.join(orphan, 'bin', name));
        fs.symlinkSync('/gone/python3.12', path.join(orphan, 'bin', name));
      }
      const error = await failure({ python: orphan, env: bareEnv() });
      expect(error.code).toBe('ERR_PYTHON_UNUSABLE');
      expect(error.message).toMatch('/gone/python3.12, which does not exist');
    });
  });

  describe('the order of the search', () => {
    let env, docroot;
    const places = {};
    beforeAll(() => {
      docroot = path.join(newFolder('project'), 'app', 'src');
      fs.mkdirSync(docroot, { recursive: true });
      places.option = usablePython();
      places.NODE_ASGI_PYTHON = usablePython();
      places.VIRTUAL_ENV = fakeVenv(newFolder('active'));
      places.venv = fakeVenv(path.join(docroot, '..', '.venv'));
      places.CONDA_PREFIX = path.dirname(path.dirname(usablePython()));
      places.PATH = path.dirname(usablePython());
      const { NODE_ASGI_PYTHON, VIRTUAL_ENV, CONDA_PREFIX } = places;
      env = { NODE_ASGI_PYTHON, VIRTUAL_ENV, CONDA_PREFIX, PATH: `${places.PATH}:/usr/bin:/bin` };
    });

    test('each source wins over all that come after it', async () => {
      const order = ['option', 'NODE_ASGI_PYTHON', 'VIRTUAL_ENV', 'venv', 'CONDA_PREFIX', 'PATH'];
      const left = { ...env };
      for (const source of order) {
        const python = source === 'option' ? places.option : undefined;
        const root = order.indexOf(source) <= order.indexOf('venv') ? docroot : temp;
        const found = await find({ python, docroot: root, env: left });
        expect(found.source).toBe(source);
        expect(found.programName.startsWith(places[source])).toBe(true);
        expect(found.chosenBecause).toMatch(/^[A-Z].*\.$/);
        if (source !== 'PATH') delete left[source];
      }
    });

    test('the nearest venv upward from the docroot is taken, .venv before venv', async () => {
      const bare = { PATH: env.PATH };
      const near = fakeVenv(path.join(docroot, 'venv'));
      expect((await find({ docroot, env: bare })).prefix).toBe(near);
      const nearer = fakeVenv(path.join(docroot, '.venv'));
      expect((await find({ docroot, env: bare })).prefix).toBe(nearer);
      fs.rmSync(near, { recursive: true });
      fs.rmSync(nearer, { recursive: true });
    });

    test('a folder named venv without pyvenv.cfg is no venv', async () => {
      const root = newFolder();
      usablePython({}, path.join(root, 'venv', 'bin', 'python'));
      expect((await find({ docroot: root, env: { PATH: env.PATH } })).source).toBe('PATH');
    });

    test('python3 anywhere on PATH comes before python', async () => {
      const first = newFolder();
      usablePython({}, path.join(first, 'bin', 'python'));
      const found = await find({ docroot: temp, env: { PATH: `${first}/bin:${env.PATH}` } });
      expect(found.executable).toBe(path.join(places.PATH, 'python3'));
    });

    test('a bare command name as the option is looked up on PATH', async () => {
      const folder = newFolder();
      const file = usablePython({}, path.join(folder, 'bin', 'python3.12'));
      const found = await find({ python: 'python3.12', env: { PATH: `${folder}/bin:${env.PATH}` } });
      expect(found).toMatchObject({ executable: file, source: 'option' });
    });

    test('empty variables count as not set', async () => {
      const unset = { NODE_ASGI_PYTHON: '', VIRTUAL_ENV: '', CONDA_PREFIX: '', PATH: env.PATH };
      expect((await find({ docroot: temp, env: unset })).source).toBe('PATH');
    });
  });

  describe('a broken candidate', () => {
    test('that nobody named is recorded and the next one is taken', async () => {
      const good = usablePython();
      const gone = path.join(newFolder(), 'gone');
      const pypy = fakePython({ implementation: 'pypy' });
      const env = { VIRTUAL_ENV: gone, PATH: `${path.dirname(pypy)}:${path.dirname(good)}:/usr/bin:/bin` };
      const found = await find({ docroot: temp, env });
      expect(found.executable).toBe(good);
      expect(found.rejected).toEqual([
        { candidate: gone, source: 'VIRTUAL_ENV', reason: 'does not exist' },
        { candidate: pypy, source: 'PATH', reason: expect.stringContaining('pypy') },
      ]);
    });

    test('in a folder that PATH names twice, once by a link, is recorded once', async () => {
      const [bad, good] = [fakePython(), usablePython()];
      const link = path.join(newFolder(), 'bin');
      fs.symlinkSync(path.dirname(bad), link);
      const env = { PATH: `${path.dirname(bad)}:${link}:${path.dirname(good)}:/usr/bin:/bin` };
      expect((await find({ docroot: temp, env })).rejected.map(({ candidate }) => candidate)).toEqual([bad]);
    });

    test.each(['option', 'NODE_ASGI_PYTHON'])('that %s names is an error, whatever PATH has', async (source) => {
      const missing = path.join(newFolder(), 'python9');
      const env = bareEnv({ PATH: `${path.dirname(usablePython())}:/usr/bin:/bin` });
      const error = await failure(source === 'option'
        ? { python: missing, env }
        : { env: { ...env, NODE_ASGI_PYTHON: missing } });
      expect(error).toMatchObject({ code: 'ERR_PYTHON_UNUSABLE', source, candidate: missing });
      expect(error.message).toMatch(missing);
      expect(error.message).toMatch(source);
      expect(error.message).toMatch(/does not exist.*Expected.*CPython 3\.8/s);
    });

    const script = (body, mode) => writeScript(path.join(newFolder(), 'python3'), body, mode);
    const unusable = [
      ['a file that is not executable', () => script('', 0o644), /not executable/],
      ['a file in no executable format', () => {
        const file = path.join(newFolder(), 'python3');
        fs.writeFileSync(file, Buffer.from([0x7f, 0x45, 0x4c, 0x46, 0, 0]), { mode: 0o755 });
        return file;
      }, /could not be started|exited with code/],
      ['a program that is no Python', () => '/bin/true', /no Python interpreter/],
      ['a program that fails', () => script('echo no such version >&2; exit 127'),
        /exited with code 127.*no such version/],
      ['a program that answers nonsense', () => script('echo \'{"version":"3"}\''),
        /no Python interpreter/],
      ['a program that crashes', () => script('kill -SEGV $$'),
        /crashed with SIGSEGV/],
      ['a Python 2', () => script('echo "Unknown option: -I" >&2; exit 2'),
        /Python 2.*3\.8/],
      ['a Python that is too old', () => usablePython({ version: [3, 7, 16] }), /3\.7\.16.*3\.8/],
      ['a PyPy', () => usablePython({ implementation: 'pypy', version: [3, 10, 14] }), /pypy 3\.10\.14.*only CPython/],
      ['a folder without an interpreter', () => newFolder(), /folder without bin\/python/],
      ['an empty path', () => '', /empty path/],
      ['a value that is no path', () => 42, /42 is no path/],
      ['a command name that nothing has', () => 'no-such-python', /no-such-python does not exist/],
    ];
    test.each(unusable)('says what it is: %s', async (_name, make, expected) => {
      const error = await failure({ python: make(), env: bareEnv() });
      expect(error.code).toBe('ERR_PYTHON_UNUSABLE');
      expect(error.message).toMatch(expected);
    });

    test('that hangs is given up after the probe timeout, children or not', async () => {
      const python = script('sleep 5; echo late');
      const start = Date.now();
      const error = await failure({ python, env: bareEnv(), probeTimeout: 200 });
      expect(error.code).toBe('ERR_PYTHON_UNUSABLE');
      expect(error.message).toMatch('did not answer within 200 ms');
      expect(Date.now() - start).toBeLessThan(3000);
    });

    test('that waits for input is not waited for', async () => {
      const python = script('cat');
      const error = await failure({ python, env: bareEnv(), probeTimeout: 4000 });
      expect(error.message).toMatch('no Python interpreter');
    });

    test('that never stops printing is cut off', async () => {
      const python = script('exec yes');
      const error = await failure({ python, env: bareEnv(), probeTimeout: 8000 });
      expect(error.message).toMatch('printed more');
    });
  });

  describe('when nothing is found', () => {
    test('every source is listed with its reason, and the fix', async () => {
      const empty = newFolder();
      const gone = path.join(empty, 'gone');
      const error = await failure({ docroot: temp, env: { PATH: empty, VIRTUAL_ENV: gone } });
      expect(error.code).toBe('ERR_PYTHON_NOT_FOUND');
      expect(error.message).toMatch(/option python: not given/);
      expect(error.message).toMatch(/NODE_ASGI_PYTHON: not set/);
      expect(error.message).toMatch(`VIRTUAL_ENV: ${gone} does not exist`);
      expect(error.message).toMatch(/\.venv or venv from the docroot upward: none/);
      expect(error.message).toMatch(/CONDA_PREFIX: not set/);
      expect(error.message).toMatch(/python on PATH: neither/);
      expect(error.message).toMatch(/apt install python3 libpython3\.x.*option python/s);
      expect(error.rejected).toHaveLength(1);
    });
  });

  describe('the shared library', () => {
    test('missing from an explicit choice is an error that tells what was tried and how to get one', async () => {
      const python = fakePython({ LIBDIR: '/nonexistent/lib', LDLIBRARY: 'libpython3.12.a' });
      const error = await failure({ python, env: bareEnv() });
      expect(error).toMatchObject({ code: 'ERR_PYTHON_NO_SHARED_LIBRARY', candidate: python, source: 'option' });
      for (const part of [python, '3.12.4', 'libpython3.12.so.1.0', '/nonexistent/lib', 'apt install libpython3.12',
        'PYTHON_CONFIGURE_OPTS=--enable-shared pyenv install 3.12', 'uv', 'conda']) {
        expect(error.message).toContain(part);
      }
      expect(error.message).not.toContain('libpython3.12.a');
    });

    test('missing from one candidate leads to the next', async () => {
      const [without, good] = [fakePython(), usablePython()];
      const found = await find({ docroot: temp, env: { PATH: `${path.dirname(without)}:${path.dirname(good)}:/bin` } });
      expect(found.executable).toBe(good);
      expect(found.rejected).toEqual([
        { candidate: without, source: 'PATH', reason: expect.stringContaining('without a shared library') },
      ]);
    });

    test('missing from the only candidate is what the error is about', async () => {
      const root = newFolder();
      fakePython({}, path.join(root, '.venv', 'bin', 'python'));
      fs.writeFileSync(path.join(root, '.venv', 'pyvenv.cfg'), '');
      // The fake needs `cat`, so the folder that PATH has holds that alone.
      const tools = newFolder();
      fs.symlinkSync('/bin/cat', path.join(tools, 'cat'));
      const error = await failure({ docroot: root, env: { PATH: tools } });
      expect(error).toMatchObject({ code: 'ERR_PYTHON_NO_SHARED_LIBRARY', source: 'venv' });
      expect(error.message).toMatch(/apt install libpython3\.12[^]*python on PATH: neither/);
    });

    test('is found where the build did not say it would be', async () => {
      const python = withLibrary(
        fakePython({ LIBDIR: '/install/lib', LDLIBRARY: 'libpython3.12.a', INSTSONAME: 'libpython3.12.a' }),
        'libpython3.12.so.1.0', 'lib64');
      const found = await find({ python, env: bareEnv() });
      expect(found.libpython).toBe(path.join(path.dirname(path.dirname(python)), 'lib64', 'libpython3.12.so.1.0'));
    });

    test('is found beside the real executable when the prefix is elsewhere', async () => {
      const python = usablePython({ LIBDIR: null, base_prefix: '/nonexistent' });
      const link = path.join(newFolder(), 'python3');
      fs.symlinkSync(python, link);
      const found = await find({ python: link, env: bareEnv() });
      expect(found.libpython).toBe(path.join(path.dirname(path.dirname(python)), 'lib', 'libpython3.12.so.1.0'));
    });

    test('candidates come best first, each real file once', async () => {
      const python = usablePython();
      withLibrary(python, 'libpython3.12.so', 'lib64');
      const root = path.dirname(path.dirname(python));
      fs.symlinkSync('libpython3.12.so.1.0', path.join(root, 'lib', 'libpython3.12.so'));
      const found = await find({ python, env: bareEnv() });
      expect(found.libpythonCandidates).toEqual([
        path.join(root, 'lib', 'libpython3.12.so.1.0'), path.join(root, 'lib64', 'libpython3.12.so')]);
    });

    test('of a free-threaded build has its own name', async () => {
      const python = withLibrary(
        fakePython({ version: [3, 13, 0], abiflags: 't', Py_GIL_DISABLED: 1, INSTSONAME: null, LDLIBRARY: null }),
        'libpython3.13t.so.1.0');
      const found = await find({ python, env: bareEnv() });
      expect(found.freeThreaded).toBe(true);
      expect(found.libpython).toMatch(/libpython3\.13t\.so\.1\.0$/);
    });
  });

  describe('the cache', () => {
    test('asks an interpreter once, and again after it has changed', async () => {
      const python = usablePython();
      await find({ python, env: bareEnv() });
      await find({ python, env: bareEnv() });
      expect(timesAsked(python)).toBe(1);
      fs.utimesSync(python, new Date(), new Date(Date.now() + 5000));
      await find({ python, env: bareEnv() });
      expect(timesAsked(python)).toBe(2);
    });

    test('tells two paths to one interpreter apart', async () => {
      const python = usablePython();
      const link = path.join(newFolder(), 'python3');
      fs.symlinkSync(python, link);
      await find({ python, env: bareEnv() });
      await find({ python: link, env: bareEnv() });
      expect(timesAsked(python)).toBe(2);
    });

    test('asks a shim again when it stands for another version', async () => {
      const python = usablePython();
      for (const version of ['3.12', '3.13', '3.12']) await find({ python, env: bareEnv({ PYENV_VERSION: version }) });
      expect(timesAsked(python)).toBe(2);
    });

    test('does not keep a missing library', async () => {
      const python = fakePython();
      expect((await failure({ python, env: bareEnv() })).code).toBe('ERR_PYTHON_NO_SHARED_LIBRARY');
      withLibrary(python);
      await expect(find({ python, env: bareEnv() })).resolves.toMatchObject({ version: '3.12.4' });
      expect(timesAsked(python)).toBe(1);
    });

    test('does not hand out what a caller could spoil', async () => {
      const python = usablePython();
      (await find({ python, env: bareEnv() })).versionInfo.push('spoilt');
      expect((await find({ python, env: bareEnv() })).versionInfo).toEqual([3, 12, 4]);
    });
  });

  describe('pyenv', () => {
    const versionsFolder = path.join(PYENV_ROOT, 'versions');
    const installed = fs.existsSync(versionsFolder) ? fs.readdirSync(versionsFolder) : [];
    const byAge = (old) => installed.filter((name) => /^\d+\.\d+\.\d+$/.test(name) &&
      old === (Number(name.split('.')[0]) < 3 || Number(name.split('.')[1]) < 8));

    for (const version of byAge(false)) {
      test(`version ${version} is usable by its folder`, async () => {
        const folder = path.join(versionsFolder, version);
        const found = await find({ python: folder, env: bareEnv() });
        expect(found).toMatchObject({ version, isVenv: false, basePrefix: folder });
        expect(found.libpython.startsWith(folder)).toBe(true);
      });
    }
    for (const version of byAge(true)) {
      test(`version ${version} is refused as too old`, async () => {
        const error = await failure({ python: path.join(versionsFolder, version), env: bareEnv() });
        expect(error.code).toBe('ERR_PYTHON_UNUSABLE');
        expect(error.message).toMatch(/3\.8 is the oldest supported/);
      });
    }
    if (installed.length === 0) test.skip('no pyenv versions are installed', () => {});

    const shim = path.join(PYENV_ROOT, 'shims', 'python3');
    const chosen = byAge(false)[0];
    (fs.existsSync(shim) && chosen ? test : test.skip)('a shim on PATH is resolved to what it stands for', async () => {
      const env = { ...process.env, PATH: `${path.dirname(shim)}:${process.env.PATH}`, PYENV_VERSION: chosen };
      for (const name of ['VIRTUAL_ENV', 'CONDA_PREFIX', 'NODE_ASGI_PYTHON']) delete env[name];
      const found = await find({ docroot: temp, env });
      expect(found).toMatchObject({ source: 'PATH', version: chosen });
      expect(found.programName.startsWith(path.join(versionsFolder, chosen, 'bin'))).toBe(true);
    });
  });
});
