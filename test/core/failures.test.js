'use strict';

/** Calling rules and errors: checklist lines X-xx, and what JavaScript is told of Python's exceptions. */

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const { PythonError, PythonHandler, NodeAsgiError, pythonInfo } = require('../..');
const { Child } = require('../helpers/child');
const { CORE, coreApps, eventually, later } = require('../helpers/core-apps');
const { headerValues, RawConnection, requestBytes } = require('../helpers/raw-http');

const { open, serve } = coreApps();
const ROOT = path.resolve(__dirname, '../..');

// Unique in the process: all files of a run share one Python, and with it the module that keeps the records.
const newKey = () => crypto.randomUUID();

/** The error that a promise rejects with. */
const rejection = (promise) => promise.then(() => { throw new Error('did not reject'); }, (error) => error);

describe('wrong messages', () => {
  const mistakes = [
    ['X-01', '/unknown-type', 'RuntimeError'], ['X-02', '/no-type', 'ValueError'], ['X-02', '/not-a-dict', 'TypeError'],
    ['X-02', '/type-not-str', 'TypeError'], ['X-03', '/no-status', 'ValueError'], ['X-03 H-36', '/status-str', 'TypeError'],
    ['H-36', '/status-bool', 'TypeError'], ['H-36', '/status-low', 'ValueError'], ['H-36', '/status-1xx', 'ValueError'],
    ['H-36', '/status-high', 'ValueError'], ['X-03', '/header-str', 'TypeError'], ['X-03', '/header-not-a-pair', 'TypeError'],
    ['H-22', '/header-crlf', 'ValueError'], ['H-22', '/header-nul', 'ValueError'], ['H-22', '/header-name', 'ValueError'],
    ['H-22', '/header-empty-name', 'ValueError'], ['H-24', '/pseudo-header', 'ValueError'],
    ['X-05', '/body-first', 'RuntimeError'], ['X-05', '/second-start', 'RuntimeError'], ['X-05', '/websocket', 'RuntimeError'],
    ['X-05', '/disconnect', 'RuntimeError'], ['X-07', '/trailers', 'RuntimeError'], ['X-07', '/debug', 'RuntimeError'],
    ['X-03', '/body-none', 'TypeError'], ['H-30', '/body-str', 'TypeError'],
    ['X-04', '/', 'nothing raised'],
  ];
  let served;
  beforeAll(async () => { served = await serve('protocol_errors'); });

  test.each(mistakes)('%s X-06 %s: %s, and the app may still answer', async (id, target, outcome) => {
    const response = await served.fetch(target);
    expect([response.status, response.body.toString()]).toEqual([200, outcome]);
    // Nothing of a refused head has reached the wire.
    expect(headerValues(response, 'set-cookie')).toEqual([]);
    expect(served.errors).toEqual([]);
  });
});

describe('a client that has left', () => {
  let rules;
  beforeAll(async () => { rules = await serve('rules'); });

  /** Reads the head and the first bytes of an endless response, then leaves. */
  async function leave(port, target) {
    const connection = await RawConnection.open(port);
    await connection.write(requestBytes({ target }));
    const reading = connection.readResponse({ onData: () => connection.reset() });
    await rejection(reading);
  }
  const kept = (key, from = rules) => eventually(() => from.fetchJson(`/seen?key=${key}`));

  test('X-08 X-09 send() raises ClientDisconnected, an OSError, which nobody hears of', async () => {
    const { port, fetch, fetchJson, errors, warnings } = await serve('disconnect');
    await fetch('/forget');
    await leave(port, '/stream');
    const records = await eventually(async () => {
      const all = await fetchJson('/records');
      return all.length >= 2 && all;
    });
    expect(records).toEqual([['streaming'], ['raised', 'ClientDisconnected', true]]);
    await later(50);
    expect([...errors, ...warnings]).toEqual([]);
  });

  test.each(['/caused-by-disconnect', '/grouped-disconnect'])('X-10 %s: nobody hears of what it caused', async (target) => {
    const key = newKey();
    await leave(rules.port, `${target}?key=${key}`);
    await kept(key);
    await later(50);
    expect(rules.errors).toEqual([]);
  });

  test('X-11 an error of the app\'s own is reported even then', async () => {
    const key = newKey();
    await leave(rules.port, `/own-error-after-disconnect?key=${key}`);
    await kept(key);
    await eventually(() => rules.errors.length > 0);
    expect(rules.errors.splice(0)).toMatchObject([{ pythonType: 'KeyError', code: 'ERR_PYTHON_EXCEPTION' }]);
  });

  test('X-08 with spec version 2.3 an app that sends for ever does not starve the loop', async () => {
    const older = await serve('rules', { specVersion: '2.3' });
    const key = newKey();
    await leave(older.port, `/send-for-ever?key=${key}`);
    expect(await kept(key, older)).toBe('stopped by a timeout');
  });

  test('X-08 with spec version 2.3 send() does nothing then', async () => {
    const older = await serve('rules', { specVersion: '2.3' });
    const key = newKey();
    await leave(older.port, `/stream-until-disconnect?key=${key}`);
    expect(await kept(key, older)).toBe('nothing raised');
    await later(30);
    expect(older.errors).toEqual([]);
  });
});

describe('exceptions of the app', () => {
  test('X-12 before the head: a 500 in plain text that tells nothing, reported with its traceback', async () => {
    const { fetch, errors } = await serve('error_before_start', { debug: false });
    const response = await fetch('/');
    expect(response.status).toBe(500);
    expect(headerValues(response, 'content-type')[0]).toMatch(/^text\/plain/);
    expect(response.body.toString()).toBe('Internal Server Error');
    expect(errors).toHaveLength(1);
    expect(errors[0].traceback).toContain('no coffee here');
  });

  test('X-12 with the option debug the traceback is shown', async () => {
    const { fetch } = await serve('error_before_start', { debug: true });
    expect((await fetch('/')).body.toString()).toMatch(/TeapotError: no coffee here[^]*error_before_start\.py/);
  });

  test('X-14 an app that never answers is a 500, and told apart', async () => {
    const { fetch, handler, errors } = await serve('bodies');
    expect((await fetch('/no-start')).status).toBe(500);
    expect(errors).toMatchObject([{ code: 'ERR_ASGI_NO_RESPONSE' }]);
    await expect(handler.handleRequest({ url: '/no-start' })).rejects.toMatchObject({ code: 'ERR_ASGI_NO_RESPONSE', status: 500 });
    await expect(handler.handleStream({ url: '/no-start' })).rejects.toMatchObject({ code: 'ERR_ASGI_NO_RESPONSE' });
  });

  test('X-15 a returned value is a warning, and the answer is whole', async () => {
    const { fetch, errors, warnings } = await serve('bodies');
    expect((await fetch('/value')).body.toString()).toBe('value');
    await eventually(() => warnings.length > 0);
    expect(warnings).toMatchObject([{ code: 'ERR_ASGI_RETURN_VALUE', message: expect.stringContaining('str') }]);
    expect(errors).toEqual([]);
  });

  const leaving = [
    ['/exit', 'SystemExit'], ['/interrupt', 'KeyboardInterrupt'], ['/cancelled', /CancelledError$/],
    ['/recursion', 'RecursionError'], ['/memory', 'MemoryError'],
  ];
  test.each(leaving)('X-16 %s ends its request only', async (target, type) => {
    const { fetch, handler, errors } = await serve('base_exceptions');
    expect((await fetch(target)).status).toBe(500);
    expect(errors).toHaveLength(1);
    expect(errors[0].pythonType).toEqual(typeof type === 'string' ? type : expect.stringMatching(type));
    const error = await rejection(handler.handleRequest({ url: target }));
    expect(error).toBeInstanceOf(PythonError);
    expect((await fetch('/')).body.toString()).toBe('alive');
    await eventually(() => handler.stats().inFlight === 0);
  });

  const callables = [
    ['callable_object:app', 'object'], ['callable_object:partial', 'partial'], ['callable_object:awaitable', 'awaitable'],
    ['rules:decorated', 'decorated'], ['rules:DoubleCallable', 'double'],
  ];
  test.each(callables)('X-17 X-22 %s is an app', async (target, text) => {
    const { handler } = open(target);
    expect((await handler.handleRequest({ url: '/' })).text()).toBe(text);
  });

  test('X-18 an exception raised by the call itself is like one raised later', async () => {
    const { fetch, errors, handler } = await serve('rules:raises_at_call');
    expect((await fetch('/')).status).toBe(500);
    expect(errors).toMatchObject([{ pythonType: 'LookupError', pythonMessage: 'raised by the call itself' }]);
    await expect(handler.handleRequest({ url: '/' })).rejects.toMatchObject({ pythonType: 'LookupError' });
  });

  test('X-17 an app that returns no awaitable is told so', async () => {
    const { handler } = open('rules:returns_no_awaitable', { lifespan: 'off' });
    await expect(handler.handleRequest({ url: '/' })).rejects.toMatchObject({
      pythonType: 'TypeError', message: expect.stringMatching(/awaitable.*got int/),
    });
  });

  test('X-23 an exception without a usable text is told safely', async () => {
    const { fetch, errors, handler } = await serve('rules');
    expect((await fetch('/bad-text')).status).toBe(500);
    expect(errors[0].pythonType).toBe('rules.BadText');
    const error = await rejection(handler.handleRequest({ url: '/surrogate' }));
    expect(error.pythonMessage).toBe('lone ? surrogate');
    expect((await fetch('/messages')).status).toBe(200);
  });
});

describe('PythonError', () => {
  let handler;
  beforeAll(() => { ({ handler } = open('error_before_start')); });

  test('has code, type, message, traceback and frames', async () => {
    const error = await rejection(handler.handleRequest({ url: '/' }));
    expect(error).toBeInstanceOf(PythonError);
    expect(error).toBeInstanceOf(NodeAsgiError);
    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({
      name: 'PythonError', code: 'ERR_PYTHON_EXCEPTION', status: 500, pythonType: 'error_before_start.TeapotError',
      pythonMessage: 'no coffee here', message: 'error_before_start.TeapotError: no coffee here', errors: [],
    });
    expect(error.cause).toBeUndefined();
    expect(error.traceback).toMatch(/^Traceback \(most recent call last\):\n[^]*TeapotError: no coffee here\n$/);
    expect(error.stack).toContain(error.traceback.trimEnd());
    const file = path.join(CORE, 'error_before_start.py');
    const lines = fs.readFileSync(file, 'utf8').split('\n');
    expect(error.frames.map((frame) => [frame.file, frame.function])).toEqual([[file, 'app'], [file, 'pour']]);
    expect(lines[error.frames[1].line - 1]).toContain('raise TeapotError');
    expect(lines[error.frames[0].line - 1]).toContain('pour()');
  });

  test('has the cause of an exception raised from another', async () => {
    const error = await rejection(handler.handleRequest({ url: '/chained' }));
    expect(error).toMatchObject({ pythonType: 'ValueError', pythonMessage: 'cannot serve' });
    expect(error.cause).toBeInstanceOf(PythonError);
    expect(error.cause).toMatchObject({ pythonType: 'error_before_start.TeapotError', pythonMessage: 'no coffee here' });
    expect(error.cause.frames.at(-1).function).toBe('pour');
    expect(error.traceback).toContain('The above exception was the direct cause of the following exception');
  });

  test('has the members of an ExceptionGroup', async () => {
    const error = await rejection(handler.handleRequest({ url: '/group' }));
    const [, minor] = pythonInfo().version.split('.').map(Number);
    if (minor < 11) {
      expect(error.pythonType).toBe('NameError'); // a Python without them
      return;
    }
    expect(error.pythonType).toBe('ExceptionGroup');
    expect(error.errors).toHaveLength(2);
    expect(error.errors.every((member) => member instanceof PythonError)).toBe(true);
    expect(error.errors.map((member) => [member.pythonType, member.pythonMessage])).toEqual([
      ['error_before_start.TeapotError', 'one'], ['ValueError', 'two'],
    ]);
  });
});

describe('targets', () => {
  /** The error of ready(), which requests must reject with, too. */
  async function refused(target, options = {}) {
    const { handler } = open(target, options);
    const error = await rejection(handler.ready());
    const asked = await rejection(handler.handleRequest({ url: '/' }));
    expect([asked.code, asked.message]).toEqual([error.code, error.message]);
    return error;
  }

  test('a module that does not exist: which, and where it was expected', async () => {
    const error = await refused('no_such_module:app');
    expect(error).toMatchObject({ code: 'ERR_ASGI_MODULE_NOT_FOUND' });
    expect(error).not.toBeInstanceOf(PythonError);
    expect(error.message).toContain("'no_such_module'");
    expect(error.message).toContain(path.join(CORE, 'no_such_module.py'));
    expect((await refused('package.nowhere:app')).code).toBe('ERR_ASGI_MODULE_NOT_FOUND');
    expect((await refused('nowhere.inner.web:app')).code).toBe('ERR_ASGI_MODULE_NOT_FOUND');
  });

  test('a module that imports what does not exist is the app\'s error, with its traceback', async () => {
    const error = await refused('missing_dependency:app');
    expect(error).toMatchObject({ code: 'ERR_ASGI_STARTUP', pythonType: 'ModuleNotFoundError' });
    expect(error.message).toContain('a_module_that_is_not_installed');
    expect(error.traceback).toContain('missing_dependency.py');
  });

  test('a module that raises keeps its exception', async () => {
    const error = await refused('error_at_import:app');
    expect(error).toMatchObject({
      code: 'ERR_ASGI_STARTUP', pythonType: 'RuntimeError', pythonMessage: 'this module cannot be imported',
    });
    expect(error.frames.at(-1).file).toBe(path.join(CORE, 'error_at_import.py'));
  });

  test('a syntax error names its line', async () => {
    const docroot = fs.mkdtempSync(path.join(os.tmpdir(), 'node-asgi-'));
    try {
      fs.writeFileSync(path.join(docroot, 'wrong_syntax.py'), 'app = 1\n\ndef broken(:\n    pass\n');
      const error = await refused('wrong_syntax:app', { docroot, python: pythonInfo().executable });
      expect(error).toMatchObject({ code: 'ERR_ASGI_STARTUP', pythonType: 'SyntaxError' });
      expect(error.traceback).toContain('wrong_syntax.py", line 3');
    } finally {
      fs.rmSync(docroot, { recursive: true });
    }
  });

  test('sys.exit() in the module does not end the process', async () => {
    const docroot = fs.mkdtempSync(path.join(os.tmpdir(), 'node-asgi-'));
    try {
      fs.writeFileSync(path.join(docroot, 'leaves_at_import.py'), 'import sys\nsys.exit(5)\n');
      const error = await refused('leaves_at_import:app', { docroot, python: pythonInfo().executable });
      expect(error).toMatchObject({ code: 'ERR_ASGI_STARTUP', pythonType: 'SystemExit' });
    } finally {
      fs.rmSync(docroot, { recursive: true });
    }
  });

  const missing = [
    ['no_attribute:app', /no_attribute has no attribute 'app'/],
    ['dotted:services.web.nowhere', /dotted\.services\.web has no attribute 'nowhere'/],
    ['no_attribute:not_callable', /expected an ASGI app, which is callable, got int/],
  ];
  test.each(missing)('%s is not found', async (target, message) => {
    const error = await refused(target);
    expect(error.code).toBe('ERR_ASGI_APP_NOT_FOUND');
    expect(error.message).toMatch(message);
    expect(error.message).toContain(`'${target}'`);
  });

  test.each(['module', ':app', 'module:', 'mod:a b', 'mod:1st', 'mod:f(1)', 'a:b:c'])('the malformed target %j', async (target) => {
    const handler = new PythonHandler({ docroot: CORE, target });
    const error = await rejection(handler.ready());
    await handler.close();
    expect(error.code).toBe('ERR_ASGI_TARGET');
    expect(error.message).toMatch(/expected 'module:attribute' or 'module:factory\(\)', got /);
    expect(error.message).toContain(target);
  });

  test('a factory is called once; one that raises is the app\'s error', async () => {
    const { handler } = open('factory:create_app()');
    const texts = [];
    for (let n = 0; n < 2; n += 1) texts.push((await handler.handleRequest({ url: '/' })).text());
    expect(texts[1]).toBe(texts[0]);
    expect(await refused('factory:broken_factory()')).toMatchObject({ code: 'ERR_ASGI_STARTUP', pythonMessage: 'the factory failed' });
  });

  test('a server answers 500 for an app that could not be loaded, and reports why', async () => {
    const { handler, errors } = open('no_such_module:app', { debug: false });
    const { serveHttp } = require('../helpers/servers');
    const { fetchRaw } = require('../helpers/raw-http');
    const server = await serveHttp(handler);
    const response = await fetchRaw(server.port, {});
    await server.close();
    expect([response.status, response.body.toString()]).toEqual([500, 'Internal Server Error']);
    expect(errors).toMatchObject([{ code: 'ERR_ASGI_MODULE_NOT_FOUND' }]);
  });
});

describe('options', () => {
  const wrong = [
    [{ target: 7 }, /option target: expected a non-empty string, got 7/],
    [{ docroot: '' }, /option docroot: expected a non-empty string, got ""/],
    [{ lifespan: 'yes' }, /option lifespan: expected 'auto' or 'on' or 'off', got "yes"/],
    [{ rootPath: 'api' }, /option rootPath: expected .*'\/'.*got "api"/],
    [{ maxConcurrency: -1 }, /option maxConcurrency: expected a whole number .*got -1/],
    [{ maxBodyBytes: '1mb' }, /option maxBodyBytes: expected a whole number .*got "1mb"/],
    [{ startTimeout: 1.5 }, /option startTimeout: .*got 1\.5/],
    [{ responseTimeout: Infinity }, /option responseTimeout: .*got Infinity/],
    [{ scope: [] }, /option scope: expected an object, got an array/],
    [{ debug: 'yes' }, /option debug: expected true or false, got "yes"/],
    [{ nativeSymbols: 'maybe' }, /option nativeSymbols: .*got "maybe"/],
    [{ specVersion: '3.0' }, /option specVersion: expected '2\.5' or '2\.3', got "3\.0"/],
    [{ cancelOnDisconnect: 'soon' }, /option cancelOnDisconnect: .*got "soon"/],
    [{ unknown: 1 }, /unknown option unknown: expected one of target, docroot, /],
    [null, /expected an object, got null/],
    ['main:app', /expected an object, got "main:app"/],
  ];
  test.each(wrong)('%j throws what was expected and what came', (options, message) => {
    let error;
    try {
      new PythonHandler(options);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toMatchObject({ code: 'ERR_ASGI_OPTION', message: expect.stringMatching(message) });
  });

  test('appTarget is target', () => {
    const { handler } = open('ignored', { target: undefined, appTarget: 'hello:app' });
    expect([handler.target, handler.docroot]).toEqual(['hello:app', CORE]);
  });
});

describe('requests', () => {
  const wrong = [
    [{}, /url: expected .*got undefined/], [{ url: 'relative' }, /url: expected .*got "relative"/], [{ url: '' }, /url: .*got ""/],
    [null, /expected an object with a url, got null/], ['/path', /expected an object with a url, got "\/path"/],
    [{ url: '/', method: 'A B' }, /method: expected a token, got "A B"/],
    [{ url: '/', headers: { 'a b': '1' } }, /headers: expected a name of token characters, got "a b"/],
    [{ url: '/', headers: { a: 'x\r\ny: 1' } }, /headers: expected latin-1 without CR, LF or NUL as the value of a/],
    [{ url: '/', headers: { a: '\u20ac' } }, /headers: expected latin-1/],
    [{ url: '/', body: 7 }, /body: expected a string, .*got 7/], [{ url: '/', body: {} }, /body: expected .*got an object/],
  ];
  test.each(wrong)('%j rejects with what was expected and what came', async (request, message) => {
    const { handler } = open('hello');
    await expect(handler.handleRequest(request)).rejects.toMatchObject({
      code: 'ERR_ASGI_REQUEST', status: 400, message: expect.stringMatching(message),
    });
  });
});

describe('the limits of header fields', () => {
  const fields = (count, value = 'v') => Array.from({ length: count }, (_, number) => [`x-${number}`, value]);

  test('2,000 fields are taken, 2,001 are not', async () => {
    const { handler } = open('hello');
    expect((await handler.handleRequest({ url: '/', headers: fields(2000) })).status).toBe(200);
    await expect(handler.handleRequest({ url: '/', headers: fields(2001) })).rejects.toMatchObject({
      code: 'ERR_ASGI_REQUEST', message: 'headers: expected at most 2000 fields, got 2001',
    });
  });

  test('1 MiB is taken, more is not, and the next request works', async () => {
    const { handler } = open('hello');
    expect((await handler.handleRequest({ url: '/', headers: fields(10, 'v'.repeat(100_000)) })).status).toBe(200);
    await expect(handler.handleRequest({ url: '/', headers: fields(11, 'v'.repeat(100_000)) })).rejects.toMatchObject({
      code: 'ERR_ASGI_REQUEST', message: expect.stringMatching(/^headers: expected at most 1048576 bytes, got 11\d+$/),
    });
    expect((await handler.handleRequest({ url: '/' })).status).toBe(200);
  });
});

describe('another Python', () => {
  /** Every interpreter of this machine that may be another one. */
  function interpreters() {
    const versions = path.join(os.homedir(), '.pyenv', 'versions');
    const installed = fs.existsSync(versions) ? fs.readdirSync(versions) : [];
    return ['/usr/bin/python3', ...installed.map((name) => path.join(versions, name, 'bin', 'python'))]
      .filter((file) => fs.existsSync(file));
  }

  test('ERR_PYTHON_MISMATCH names both, and the first goes on', async () => {
    const script = `
      const { PythonHandler, pythonInfo } = require(${JSON.stringify(ROOT)});
      const { findInterpreterSync } = require(${JSON.stringify(path.join(ROOT, 'lib', 'interpreter.js'))});
      const options = { docroot: ${JSON.stringify(CORE)}, target: 'hello:app' };
      const usable = (python) => {
        try {
          return findInterpreterSync({ python });
        } catch {
          return undefined;
        }
      };
      (async () => {
        const first = new PythonHandler(options);
        const { version, executable } = await first.ready();
        const other = ${JSON.stringify(interpreters())}.map(usable)
          .find((found) => found && found.version.split('.')[1] !== version.split('.')[1]);
        if (!other) return first.close();
        const second = new PythonHandler({ ...options, python: other.executable });
        const { code, message } = await second.ready().catch((error) => error);
        const text = (await first.handleRequest({ url: '/' })).text();
        console.log(JSON.stringify({ code, message, text, names: [executable, other.executable] }));
        await second.close();
        await first.close();
      })();
    `;
    const child = new Child(['-e', script]);
    expect(await child.ended(20_000)).toEqual({ code: 0, signal: null });
    expect(child.stderr).toBe('');
    if (child.stdout === '') return; // only one Python is installed
    const { code, message, text, names } = JSON.parse(child.stdout);
    expect([code, text]).toEqual(['ERR_PYTHON_MISMATCH', 'Hello, world!']);
    for (const name of names) expect(message).toContain(name);
  });

  test('a loop that never came up: each request hears why, also one after the other below maxConcurrency', async () => {
    const script = `
      const { PythonHandler } = require(${JSON.stringify(path.resolve(__dirname, '../..'))});
      const handler = new PythonHandler({
        docroot: ${JSON.stringify(CORE)}, target: 'hello:app', loop: 'nowhere:loop', maxConcurrency: 1,
      });
      (async () => {
        const codes = [];
        for (let i = 0; i < 3; i += 1) codes.push((await handler.handleRequest({ url: '/' }).catch((error) => error)).code);
        console.log(JSON.stringify({ codes, inFlight: handler.stats().inFlight }));
        await handler.close().catch(() => {});
      })();
    `;
    const child = new Child(['-e', script]);
    expect(await child.ended(20_000)).toEqual({ code: 0, signal: null });
    expect(JSON.parse(child.stdout)).toEqual({ codes: ['ERR_PYTHON_LOOP', 'ERR_PYTHON_LOOP', 'ERR_PYTHON_LOOP'], inFlight: 0 });
  });
});
