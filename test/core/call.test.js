'use strict';

/** handler.call(): Python functions from JavaScript. */

const { PythonError } = require('../..');
const { coreApps, eventually, later } = require('../helpers/core-apps');

const { open } = coreApps();
let handler;

beforeAll(async () => {
  ({ handler } = open('functions'));
  await handler.ready();
});

const call = (name, ...values) => handler.call(`functions:${name}`, ...values);
const all = async (items) => { const list = []; for await (const item of await items) list.push(item); return list; };
const logged = (text) => eventually(async () => (await call('read_log')).includes(text));

describe('values', () => {
  test.each([
    ['null', null], ['true', true], ['a number', -1.5], ['a safe integer', Number.MAX_SAFE_INTEGER], ['an empty string', ''],
    ['text', 'grün 🐍 \u0000 "\\'], ['an array', [1, [2, [3]]]], ['an object', { a: { b: ['c'] }, '': 0 }],
    ['keys that look like the format', { $bytes: [0, 1], $$bytes: { $: 1 } }], ['a Buffer', Buffer.from([0, 255, 10])],
    ['an empty Buffer', Buffer.alloc(0)], ['Buffers inside', { one: Buffer.from('1'), many: [Buffer.from('2'), Buffer.from('3')] }],
    ['1 MB', Buffer.alloc(1_000_000, 'abc')],
  ])('%s comes back as it went', async (_name, value) => {
    expect(await call('same', value)).toEqual(value);
  });

  test('arrive as the types that a Python programmer expects', async () => {
    const values = [null, undefined, true, 1, 1.5, 'a', [1], { a: 1 }, Buffer.from('a'), new Uint8Array(1), new ArrayBuffer(1), new Date(0)];
    expect(await call('types', ...values))
      .toEqual(['NoneType', 'NoneType', 'bool', 'int', 'float', 'str', 'list', 'dict', 'bytes', 'bytes', 'bytes', 'str']);
    expect(await call('same')).toBe('nothing');
  });

  test.each([
    ['tuple', [1, 2]], ['bytearray', Buffer.from([0, 255])], ['memoryview', Buffer.from('view')],
    ['dict', { a: { $b: Buffer.from('c') } }], ['none', null], ['big', 2 ** 53 - 1], ['set', ['one']],
    ['nested', { list: [Buffer.from('one'), { deep: Buffer.from('two') }] }], ['surrogate', '?'], ['emoji', '🐍'],
  ])('%s is returned as its counterpart', async (kind, expected) => {
    expect(await call('returns', kind)).toEqual(expected);
  });

  test.each([
    ['object', /result is of type object, expected None, bool/], ['nan', /JSON compliant|Out of range/], ['key', /key of type int, expected str/],
  ])('a result without one raises: %s', async (kind, message) => {
    await expect(call('returns', kind)).rejects.toThrow(message);
  });

  test.each([
    ['a function', () => {}, /argument 1, got/], ['a symbol inside', { a: [Symbol('s')] }, /argument 1\.a\[0\]/],
    ['NaN', NaN, /argument 1, got NaN/], ['a bigint', 1n, /argument 1, got 1/], ['a Map', new Map(), /argument 1, got Map/],
  ])('an argument without one rejects: %s', async (_name, value, message) => {
    await expect(call('same', value)).rejects.toMatchObject({ code: 'ERR_ASGI_REQUEST', message: expect.stringMatching(message) });
  });

  test('a circle rejects', async () => {
    const circle = {};
    circle.self = circle;
    await expect(call('same', circle)).rejects.toMatchObject({ code: 'ERR_ASGI_REQUEST' });
  });
});

describe('functions', () => {
  test('run in the thread pool, coroutine functions on the loop', async () => {
    const loopThread = await call('where_async');
    expect(await call('where')).not.toBe(loopThread);
  });

  test('methods, callable objects, partials and functions of any module', async () => {
    expect(await call('greeter.greet', 'Ada')).toBe('Hello, Ada');
    expect(await call('greeter', 'Ada')).toBe('called, Ada');
    expect(await call('partial')).toBe('Hello, partial');
    expect(await handler.call('os.path:join', 'a', 'b')).toBe('a/b');
  });

  test('a blocking one holds nobody up', async () => {
    let blocked = true;
    const blocking = call('blocks', 0.3).then((answer) => { blocked = false; return answer; });
    expect((await handler.handleRequest({ url: '/' })).text()).toBe('an app beside the functions');
    expect(blocked).toBe(true);
    expect(await blocking).toBe('blocked');
  });

  test('1,000 at once', async () => {
    const answers = await Promise.all(Array.from({ length: 1000 }, (_, n) => call(n % 2 ? 'same' : 'sleeps', n % 2 ? n : 0, ...(n % 2 ? [] : ['n']))));
    expect(answers.filter((answer, n) => answer === (n % 2 ? n : 'slept'))).toHaveLength(1000);
  });
});

describe('errors', () => {
  test('what a function raises is a PythonError with its traceback and cause', async () => {
    const error = await call('fails', 'this').catch((caught) => caught);
    expect(error).toBeInstanceOf(PythonError);
    expect(error).toMatchObject({ code: 'ERR_PYTHON_EXCEPTION', pythonType: 'KeyError', pythonMessage: "'this'" });
    expect(error.traceback).toMatch(/functions\.py.*in fails/);
    await expect(call('fails_async')).rejects.toMatchObject({ pythonType: 'RuntimeError', cause: { pythonType: 'ValueError' } });
    await expect(call('same', 1, 2)).rejects.toMatchObject({ pythonType: 'TypeError' });
  });

  test.each([
    ['functions:nothing', 'ERR_ASGI_APP_NOT_FOUND'], ['nowhere:function', 'ERR_ASGI_MODULE_NOT_FOUND'], ['functions', 'ERR_ASGI_TARGET'],
    [':', 'ERR_ASGI_TARGET'], [1, 'ERR_ASGI_TARGET'],
  ])('%s rejects with %s', async (target, code) => {
    await expect(handler.call(target)).rejects.toMatchObject({ code });
  });

  test('one after close() rejects', async () => {
    const other = open('functions').handler;
    await other.close();
    await expect(other.call('functions:same')).rejects.toMatchObject({ code: 'ERR_ASGI_CLOSED' });
  });
});

describe('AbortSignal', () => {
  test('rejects at once with its reason, and cancels the coroutine', async () => {
    const took = [];
    for (const name of ['one', 'two', 'three', 'four', 'five']) {
      const controller = new AbortController();
      const sleeping = call('sleeps', 30, name, controller.signal);
      await later(50);
      const began = performance.now();
      controller.abort(new Error('enough'));
      await expect(sleeping).rejects.toThrow('enough');
      took.push(performance.now() - began);
      await logged(`${name} cancelled`);
    }
    // The middle one: a machine that pauses is not what is tested.
    expect(took.sort((a, b) => a - b)[2]).toBeLessThan(20);
  });

  test('one that is aborted already calls nothing', async () => {
    await expect(call('sleeps', 0, 'never', AbortSignal.abort(new Error('before')))).rejects.toThrow('before');
  });
});

describe('generators', () => {
  test('an async generator becomes an async iterable', async () => {
    const items = await all(call('counts', 100, 3));
    expect(items).toHaveLength(100);
    expect(items[99]).toEqual({ n: 99, data: Buffer.from('xxx') });
    expect(await all(call('counts', 20, 100_000))).toHaveLength(20);
    expect(await all(call('counts', 0))).toEqual([]);
  });

  test('an ordinary one too, run in the thread pool', async () => {
    expect((await all(call('counts_in_a_thread', 3))).map(([n]) => n)).toEqual([0, 1, 2]);
  });

  test('items come as they are made', async () => {
    const seen = [];
    for await (const n of await call('endless')) {
      seen.push(n);
      if (n === 9) break;
    }
    expect(seen).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    await logged('endless ended before True');
  });

  test('what it raises later ends the iteration', async () => {
    const seen = [];
    await expect((async () => { for await (const n of await call('fails_later', 3)) seen.push(n); })())
      .rejects.toMatchObject({ pythonType: 'LookupError' });
    expect(seen).toEqual([0, 1, 2]);
  });
});

test('calls leave nothing in flight', async () => {
  await eventually(() => handler.stats().inFlight === 0);
});
