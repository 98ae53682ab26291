'use strict';

/** Apps that do what they should not: a clear error, and the next request works. */

const path = require('node:path');

const { Child } = require('../helpers/child');
const { coreApps, eventually } = require('../helpers/core-apps');

const { open } = coreApps();
const ROOT = path.resolve(__dirname, '../..');

/** What belongs to no handler is told to the first of the process. */
let first;
beforeAll(async () => {
  first = open('misbehaves');
  await first.handler.ready();
});

/** Asks for one thing and, afterwards, that the app still answers. */
async function ask(opened, what) {
  const { handler } = opened;
  const text = (await handler.handleRequest({ url: `/${what}` }, { signal: AbortSignal.timeout(20_000) })).text();
  expect((await handler.handleRequest({ url: '/nothing' })).text()).toBe('done');
  return text;
}

test.each([
  ['task', 'ERR_PYTHON_UNHANDLED', /nobody awaits this task/],
  ['thread', 'ERR_PYTHON_UNHANDLED', /division by zero/],
  ['unraisable', 'ERR_PYTHON_UNHANDLED', /raised where nobody can catch it/],
])('an exception of a %s that nobody catches is told of', async (what, code, message) => {
  expect(await ask(open('misbehaves'), what)).toBe('done');
  await eventually(() => first.errors.some((error) => error.code === code && message.test(error.message)));
});

test('loop.stop() does not stop the loop, and is told of', async () => {
  expect(await ask(open('misbehaves'), 'stop')).toBe('done');
  await eventually(() => first.warnings.some((error) => /stopped/.test(error.message)));
});

test.each([
  ['generator', 'done'], ['left-tasks', 'done'], ['left-threads', 'done'], ['warning', 'done'], ['exception-handler', 'done'],
  ['close-loop', /running/], ['second-loop', 'asyncio.run()'],
])('%s: the next request works', async (what, expected) => {
  const text = await ask(open('misbehaves'), what);
  if (typeof expected === 'string') expect(text).toBe(expected);
  else expect(text).toMatch(expected);
});

describe('processes that the app starts', () => {
  test('sys.executable is Python, of the same environment', async () => {
    expect(await ask(open('misbehaves'), 'subprocess')).toBe('True');
  });

  test('os.fork() and os._exit() in the child leave Node alone', async () => {
    const opened = open('misbehaves');
    for (let round = 0; round < 5; round += 1) expect(await ask(opened, 'fork')).toBe('7');
  });

  test.each(['spawn', 'forkserver'])('multiprocessing by %s', async (method) => {
    expect(await ask(open('misbehaves'), method)).toBe('[4, 9]');
  });

  test('multiprocessing as it comes', async () => {
    expect(await ask(open('misbehaves'), 'default-process')).toBe('0');
  });
});

test('what is printed comes out by lines, in order', async () => {
  const child = new Child(['-e', `
    const { PythonHandler } = require(${JSON.stringify(ROOT)});
    const handler = new PythonHandler({ docroot: ${JSON.stringify(path.join(ROOT, 'fixtures/core'))}, target: 'misbehaves:app' });
    handler.handleRequest({ url: '/print' }).then(() => console.log('answered'));
  `]);
  expect(await child.ended(20_000)).toEqual({ code: 0, signal: null });
  const lines = (name) => Array.from({ length: 100 }, (_, number) => `${name} ${number}\n`).join('');
  expect(child.stdout).toBe(`${lines('out')}answered\n`);
  expect(child.stderr).toBe(lines('err'));
});

test.each([undefined, '1'])('nothing that is printed is lost, though Node makes its pipes non-blocking (PYTHONUNBUFFERED %s)', async (unbuffered) => {
  const child = new Child(['-e', `
    process.stdout.write('');
    process.stderr.write('');
    const { PythonHandler } = require(${JSON.stringify(ROOT)});
    const handler = new PythonHandler({ docroot: ${JSON.stringify(path.join(ROOT, 'fixtures/core'))}, target: 'misbehaves:app' });
    handler.on('warning', () => {}); // that printing so much blocks the loop
    handler.handleRequest({ url: '/print-much' }).then(() => console.log('answered'));
  `], { env: { ...process.env, PYTHONUNBUFFERED: unbuffered } });
  expect(await child.ended(20_000)).toEqual({ code: 0, signal: null });
  const lines = (name) => Array.from({ length: 20_000 }, (_, number) => `${name} ${number} ${'x'.repeat(50)}\n`).join('');
  expect(child.stdout === `${lines('out')}answered\n`).toBe(true);
  expect(child.stderr === lines('err')).toBe(true);
});

test('warnings are shown once', async () => {
  const child = new Child(['-e', `
    const { PythonHandler } = require(${JSON.stringify(ROOT)});
    const handler = new PythonHandler({ docroot: ${JSON.stringify(path.join(ROOT, 'fixtures/core'))}, target: 'misbehaves:app' });
    handler.handleRequest({ url: '/warning' }).then(() => handler.handleRequest({ url: '/warning' }));
  `]);
  expect(await child.ended(20_000)).toEqual({ code: 0, signal: null });
  expect(child.stderr.match(/UserWarning: careful/g)).toHaveLength(1);
});
