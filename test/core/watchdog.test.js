'use strict';

/** What tells of an app that blocks the event loop: a warning, and dumpStacks(). */

const path = require('node:path');

const { Child } = require('../helpers/child');
const { CORE, coreApps, eventually, later } = require('../helpers/core-apps');

const { open } = coreApps();

test.each([['sleeps', 'sleeps_here'], ['spins', 'spins_here']])('/%s: a warning with the request and the stack', async (name, where) => {
  await later(1100); // at most one warning a second
  const { handler, warnings } = open('blocks');
  const response = await handler.handleRequest({ url: `/${name}` });
  expect(response.text()).toBe('done');
  await eventually(() => warnings.length > 0);
  expect(warnings).toMatchObject([{ code: 'ERR_PYTHON_LOOP_BLOCKED' }]);
  expect(warnings[0].message).toMatch(new RegExp(`blocked for \\d{3} ms by GET /${name}:\n[\\s\\S]*${where}`));
});

test('an app that waits as it should is none', async () => {
  await later(1100);
  const { handler, warnings } = open('blocks');
  await Promise.all(Array.from({ length: 20 }, () => handler.handleRequest({ url: '/waits' })));
  await later(100);
  expect(warnings).toEqual([]);
});

describe('dumpStacks()', () => {
  test.each([['sleeps', 'sleeps_here'], ['spins', 'spins_here']])(
    'while /%s blocks the loop', async (name, where) => {
      const { handler } = open('blocks');
      await handler.ready();
      const answer = handler.handleRequest({ url: `/${name}` });
      await later(60);
      expect(handler.dumpStacks()).toContain(where);
      expect((await answer).text()).toBe('done');
    });

  test('while C code holds the lock: stacks where Python lets them be read, and the reason where not', async () => {
    const { handler } = open('blocks');
    await handler.ready();
    const answer = handler.handleRequest({ url: '/holds' });
    await later(60);
    const began = performance.now();
    const text = handler.dumpStacks();
    expect(performance.now() - began).toBeLessThan(1000);
    expect(text).toMatch(/^Some thread has held Python's lock for 250 ms\.|holds_the_lock_here/);
    // Python 3.11 and 3.12 export what reads stacks without the lock.
    if (/^3\.1[12]\./.test((await handler.ready()).version)) expect(text).toContain('holds_the_lock_here');
    expect((await answer).text()).toBe('done');
  });

  test('of an idle Python', async () => {
    const { handler } = open('blocks');
    await handler.ready();
    expect(handler.dumpStacks()).toMatch(/^Thread 'event loop':\n/);
  });
});

test('answers in a process that has more than a thousand files open', async () => {
  const script = `
    const fs = require('node:fs');
    for (let i = 0; i < 1100; i += 1) fs.openSync('/dev/null');
    const { PythonHandler } = require(${JSON.stringify(path.resolve(__dirname, '../..'))});
    const handler = new PythonHandler({ docroot: ${JSON.stringify(CORE)}, target: 'hello:app' });
    handler.ready().then(async () => {
      console.log(handler.dumpStacks());
      await handler.close();
    });
  `;
  const child = new Child(['-e', script]);
  expect(await child.ended(20_000)).toEqual({ code: 0, signal: null });
  expect(child.stderr).toBe('');
  expect(child.stdout).toMatch(/^Thread 'event loop':/);
});
