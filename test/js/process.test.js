'use strict';

/** How a process that hosts Python ends: always in child processes. */

const { spawnSync } = require('node:child_process');
const path = require('node:path');

const library = JSON.stringify(path.join(__dirname, '..', '..'));
const docroot = JSON.stringify(path.join(__dirname, '..', '..', 'fixtures', 'core'));

/** Runs a script in which `handler` hosts a fixture; answers its exit code, signal and output. */
function run(target, body, setup = '') {
  const script = `
    const { PythonHandler } = require(${library});
    ${setup}
    const handler = new PythonHandler({ docroot: ${docroot}, target: '${target}:app', shutdownTimeout: 2000 });
    (async () => { await handler.ready(); ${body} })();`;
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, ['-e', script],
    { encoding: 'utf8', timeout: 20_000 });
  return { status, signal, stdout, stderr };
}

describe.each([1, 2, 3])('a process that ends, round %i', () => {
  test('by itself: code 0, after lifespan shutdown', () => {
    const ended = run('lifespan_state', "console.log((await handler.handleRequest({ url: '/' })).status);");
    expect(ended).toMatchObject({ status: 0, signal: null });
    expect(ended.stdout).toBe('lifespan: startup\n200\nlifespan: shutdown\n');
  });

  test('by process.exit(): its code, after lifespan shutdown', () => {
    const ended = run('lifespan_state', 'process.exit(3);');
    expect(ended).toMatchObject({ status: 3, signal: null });
    expect(ended.stdout).toContain('lifespan: shutdown');
  });

  test('by an uncaught exception: code 1, after lifespan shutdown', () => {
    const ended = run('lifespan_state', "throw new Error('mine');");
    expect(ended).toMatchObject({ status: 1, signal: null, stderr: expect.stringContaining('mine') });
    expect(ended.stdout).toContain('lifespan: shutdown');
  });

  test.each([
    ['by itself', '', 0], ['by process.exit()', 'process.exit(3);', 3],
  ])('L-13 %s: what the app has left behind is ended, after its shutdown', (_, end, code) => {
    const ended = run('left_behind', `await handler.handleRequest({ url: '/' }); ${end}`);
    expect(ended).toMatchObject({ status: code, signal: null, stderr: '' });
    const lines = ended.stdout.trim().split('\n');
    expect([lines[0], lines.at(-1)]).toEqual(['lifespan shutdown', 'exit function']);
    expect(lines.slice(1, -1).sort()).toEqual(['generator closed', 'pool ended', 'task cancelled', 'thread ended']);
  });

  test('by SIGTERM, which stays with Node', () => {
    expect(run('lifespan_state', "process.kill(process.pid, 'SIGTERM'); setInterval(() => {}, 1000);"))
      .toMatchObject({ status: null, signal: 'SIGTERM' });
  });

  test('with a request in flight: its code, in time', () => {
    const ended = run('slow', "handler.handleRequest({ url: '/?seconds=60' }).catch(() => {}); setTimeout(() => process.exit(4), 50);");
    expect(ended).toMatchObject({ status: 4, signal: null });
  });

  test('a request in flight keeps it alive', () => {
    const ended = run('slow', "handler.handleRequest({ url: '/?seconds=0.2' }).then((r) => console.log(r.text()));");
    expect(ended).toMatchObject({ status: 0, stdout: 'slept\n' });
  });

  test('a worker that is terminated in the middle of its requests does not take it down', () => {
    const ended = run('hello', `
      for (let i = 0; i < 10; i++) {
        const worker = new Worker(source, { eval: true });
        await new Promise((resolve) => worker.once('message', resolve));
        await worker.terminate();
        console.log((await handler.handleRequest({ url: '/' })).status);
      }`, `
      const { Worker } = require('node:worker_threads');
      const source = \`
        const { PythonHandler } = require(${library});
        const handler = new PythonHandler({ docroot: ${docroot}, target: 'hello:app' });
        (async () => {
          await handler.handleRequest({ url: '/' });
          require('node:worker_threads').parentPort.postMessage('ready');
          for (;;) await Promise.all(Array.from({ length: 10 }, () => handler.handleRequest({ url: '/' })));
        })();\`;`);
    expect(ended).toMatchObject({ status: 0, signal: null, stdout: '200\n'.repeat(10) });
  });
});

test('two Pythons in one process are refused by name', () => {
  const ended = run('hello', `
    const other = new PythonHandler({ docroot: ${docroot}, target: 'hello:app', python: '/usr/bin/python3' });
    await other.ready().then(() => console.log('same'), (error) => console.log(error.code, error.message));`);
  // The first is the venv of the checkout, whose program is another.
  expect(ended.stdout).toMatch(/^ERR_PYTHON_MISMATCH .*\/usr\/bin\/python3/);
});
