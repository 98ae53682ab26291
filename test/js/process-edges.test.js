'use strict';

/** What must not end a process, keep it alive, or take its signals; and two realms with Python at once. */

const path = require('node:path');

const { Child } = require('../helpers/child');

const library = JSON.stringify(path.resolve(__dirname, '../..'));
const docroot = JSON.stringify(path.resolve(__dirname, '../../fixtures/core'));

const PRELUDE = `
  const { PythonHandler } = require(${library});
  const host = (target, options) => new PythonHandler({ docroot: ${docroot}, target, shutdownTimeout: 2000, ...options });
  const later = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
`;

/** @param {string} body of an async function */
const start = (body) => new Child(['-e', `${PRELUDE}(async () => {${body}})();`]);

/** Runs a script often, two at a time, since what goes wrong at the end of a process goes wrong seldom. */
async function often(body, check, rounds = 10) {
  const one = async () => {
    const child = start(body);
    const ending = await child.ended(20_000);
    check({ ...ending, stdout: child.stdout, stderr: child.stderr });
  };
  for (let round = 0; round < rounds; round += 2) await Promise.all([one(), one()]);
}

const WORKER = `
  const { Worker, isMainThread } = require('node:worker_threads');
  const inWorker = (code) => new Worker(${JSON.stringify(PRELUDE)} + code, { eval: true });
`;

test('a handler that is idle does not keep the process alive', async () => {
  await often("const handler = host('hello:app'); await handler.ready();", (ended) => {
    expect(ended).toEqual({ code: 0, signal: null, stdout: '', stderr: '' });
  });
});

test('a handler that nobody has asked for anything does not keep the process alive', async () => {
  await often("host('hello:app');", (ended) => {
    expect(ended).toMatchObject({ code: 0, signal: null, stderr: '' });
  });
});

test('an uncaught exception with requests in flight: code 1, shutdown ran', async () => {
  await often(`
    const [slow, handler] = [host('slow:app'), host('lifespan_state:app')];
    await Promise.all([slow.ready(), handler.ready()]);
    for (let n = 0; n < 5; n += 1) slow.handleRequest({ url: '/?seconds=0.05' }).catch(() => {});
    setTimeout(() => { throw new Error('uncaught'); }, 5);
  `, (ended) => {
    expect(ended).toMatchObject({ code: 1, signal: null, stderr: expect.stringContaining('uncaught') });
    expect(ended.stdout).toMatch(/lifespan: shutdown/);
  });
});

describe('signals', () => {
  test('SIGTERM with its default disposition kills, with and without an app that sets handlers while it is imported', async () => {
    for (const target of ['hello:app', 'signals:app', 'signals_late:at_startup']) {
      for (let round = 0; round < 3; round += 1) {
        const child = start(`const handler = host('${target}'); handler.on('warning', (warning) => console.log(warning.code));
          await handler.ready(); await later(20); console.log('ready'); setInterval(() => {}, 1000);`);
        await child.printed(/ready/);
        child.kill('SIGTERM');
        expect([target, await child.ended()]).toEqual([target, { code: null, signal: 'SIGTERM' }]);
        expect(child.stdout.includes('ERR_PYTHON_SIGNAL_HANDLER')).toBe(target !== 'hello:app');
      }
    }
  });

  test('a listener of Node hears SIGTERM and SIGINT whatever the app has set', async () => {
    for (const signal of ['SIGTERM', 'SIGINT']) {
      const child = start(`process.on('${signal}', () => { console.log('heard'); process.exit(7); });
        const handler = host('signals:app'); handler.on('warning', () => {}); await handler.ready();
        console.log((await handler.handleRequest({ url: '/' })).text()); setInterval(() => {}, 1000);`);
      await child.printed(/took the signals/);
      child.kill(signal);
      expect(await child.ended()).toEqual({ code: 7, signal: null });
      expect(child.stdout).toContain('heard');
    }
  });
});

test('sys.exit() in a handler and in a stray task ends neither Node nor the loop', async () => {
  await often(`
    const handler = host('stray_exit:app');
    const types = new Set();
    handler.on('error', (error) => types.add(error.pythonType));
    for (const url of ['/handler', '/task', '/interrupt', '/callback', '/thread', '/stop']) {
      const answer = await handler.handleRequest({ url }).then((response) => response.text(), (error) => error.pythonType);
      await later(10);
      console.log(url, answer, (await handler.handleRequest({ url: '/' })).text());
    }
    await handler.close();
    console.log([...types].includes('SystemExit'));
  `, (ended) => {
    expect(ended).toMatchObject({ code: 0, signal: null });
    expect(ended.stdout.split('\n').slice(0, 7)).toEqual([
      '/handler SystemExit alive', '/task started alive', '/interrupt started alive', '/callback started alive',
      '/thread started alive', '/stop started alive', 'true',
    ]);
  });
});

describe('worker threads', () => {
  test('a handler in a worker and one in the main thread answer at the same time', async () => {
    await often(`${WORKER}
      const worker = inWorker(\`(async () => {
        const handler = host('echo:app');
        const { parentPort } = require('node:worker_threads');
        const texts = await Promise.all(Array.from({ length: 100 }, async (_, n) =>
          (await handler.handleRequest({ method: 'POST', url: '/', body: 'worker ' + n })).text()));
        parentPort.postMessage(texts.every((text, n) => text === 'worker ' + n));
        await handler.close();
      })();\`);
      const answered = new Promise((resolve) => worker.once('message', resolve));
      const ended = new Promise((resolve) => worker.once('exit', resolve));
      const handler = host('echo:app');
      const texts = await Promise.all(Array.from({ length: 100 }, async (_, n) =>
        (await handler.handleRequest({ method: 'POST', url: '/', body: 'main ' + n })).text()));
      console.log(texts.every((text, n) => text === 'main ' + n), await answered, await ended);
      await handler.close();
    `, (ended) => {
      expect(ended).toEqual({ code: 0, signal: null, stdout: 'true true 0\n', stderr: '' });
    });
  });

  test('terminate() in the middle of requests: the app sees its clients leave, and the main thread goes on', async () => {
    await often(`${WORKER}
      const handler = host('disconnect:app');
      await handler.ready();
      for (let round = 0; round < 3; round += 1) {
        const worker = inWorker(\`(async () => {
          const handler = host('disconnect:app');
          for (let n = 0; n < 20; n += 1) handler.handleRequest({ url: '/wait' }).catch(() => {});
          for (let n = 0; n < 5; n += 1) handler.handleStream({ url: '/stream' }).then((stream) => stream.resume(), () => {});
        })();\`);
        await new Promise((resolve) => worker.once('online', resolve));
        const records = async () => (await handler.handleRequest({ url: '/records' })).json().map(([what]) => what);
        while ((await records()).filter((what) => what === 'request').length < 20) await later(2);
        await worker.terminate();
        const until = Date.now() + 5000;
        while ((await records()).filter((what) => what === 'again').length < 20 && Date.now() < until) await later(5);
        console.log((await records()).filter((what) => what === 'again').length);
        await handler.handleRequest({ url: '/forget' });
      }
      await handler.close();
    `, (ended) => {
      expect(ended).toMatchObject({ code: 0, signal: null, stdout: '20\n20\n20\n' });
    });
  });

  test('a worker that ends while its handler loads, and one that calls process.exit()', async () => {
    for (const code of ["host('hello:app');", "host('hello:app'); process.exit(0);",
      "host('slow:app').handleRequest({ url: '/?seconds=5' }).catch(() => {}); setTimeout(() => process.exit(4), 30);"]) {
      await often(`${WORKER}
        const handler = host('hello:app');
        await handler.ready();
        const worker = inWorker(${JSON.stringify(code)});
        await new Promise((resolve) => worker.once('exit', resolve));
        console.log((await handler.handleRequest({ url: '/' })).text());
        await handler.close();
      `, (ended) => {
        expect(ended).toMatchObject({ code: 0, signal: null, stdout: 'Hello, world!\n' });
      }, 4);
    }
  });
});
