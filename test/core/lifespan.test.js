'use strict';

/** Lifespan: checklist lines L-xx. */

const { PythonError } = require('../..');
const { coreApps, eventually, later } = require('../helpers/core-apps');
const { fetchRaw } = require('../helpers/raw-http');
const { serveHttp } = require('../helpers/servers');

const { open } = coreApps();
const ask = async ({ handler }) => (await handler.handleRequest({ url: '/' })).json();

test('L-01 the scope of lifespan has a type, asgi and an empty state', async () => {
  const opened = open('lifespan_kinds:scope_shown');
  const { log, state } = await ask(opened);
  expect(log).toEqual([{ type: 'lifespan', asgi: { version: '3.0', spec_version: '2.0' }, state: { made: 1 } }, 'dict', 'request']);
  expect(state).toEqual(['made']);
});

test('L-02 it runs once, in the loop and the thread of the requests', async () => {
  const opened = open('lifespan_thread');
  expect(await Promise.all([ask(opened), ask(opened)])).toEqual([{ runs: 1, same: true }, { runs: 1, same: true }]);
});

test('L-03 requests that come during startup wait for it', async () => {
  const opened = open('lifespan_kinds:slow');
  const answers = await Promise.all([ask(opened), ask(opened)]);
  // Another handler of the same module may have started before: what counts is what the first request found.
  const { log } = answers[0];
  expect(log.slice(0, log.indexOf('request')).slice(-2)).toEqual(['lifespan.startup', 'slept']);
});

test('L-03 the same over a socket', async () => {
  const { handler } = open('lifespan_kinds:scope_shown');
  const server = await serveHttp(handler);
  const response = await fetchRaw(server.port, {});
  await server.close();
  expect(JSON.parse(response.body.toString()).log.at(-1)).toBe('request');
});

test('L-04 startup.failed rejects ready() and every request with its message; nothing is served', async () => {
  const { handler } = open('lifespan_failed');
  for (const promise of [handler.ready(), handler.handleRequest({ url: '/' }), handler.handleStream({ url: '/' })]) {
    await expect(promise).rejects.toMatchObject({
      code: 'ERR_ASGI_STARTUP', message: expect.stringContaining('the database is not there'),
    });
  }
  expect(await handler.close()).toMatchObject({ lifespan: 'unsupported', timedOut: false });
});

test('L-04 startup.failed without a message', async () => {
  await expect(open('lifespan_kinds:failed_silently').handler.ready()).rejects.toMatchObject({ code: 'ERR_ASGI_STARTUP' });
});

describe('L-05 L-06 L-07 what is no support, and what is a failure', () => {
  test.each(['raises_first', 'raises_before_receive_ends', 'returns'])('%s: served without a lifespan', async (kind) => {
    const opened = open(`lifespan_kinds:${kind}`);
    expect((await ask(opened)).state).toBeNull();
    expect(await opened.handler.close()).toMatchObject({ lifespan: 'unsupported' });
    expect(opened.errors).toEqual([]);
  });

  test.each(['raises_first', 'raises_before_receive_ends', 'returns'])('%s with lifespan on: a failure', async (kind) => {
    await expect(open(`lifespan_kinds:${kind}`, { lifespan: 'on' }).handler.ready()).rejects.toMatchObject({ code: 'ERR_ASGI_STARTUP' });
  });

  const raising = [['raises_after_receive', 'ConnectionError'], ['exits', 'SystemExit']];
  test.each(raising)('%s: a failure with its cause', async (kind, type) => {
    const { handler } = open(`lifespan_kinds:${kind}`);
    const error = await handler.ready().catch((reason) => reason);
    expect(error).toBeInstanceOf(PythonError);
    expect(error.code).toBe('ERR_ASGI_STARTUP');
    expect(error.cause).toMatchObject({ pythonType: type });
    await expect(handler.handleRequest({ url: '/' })).rejects.toMatchObject({ code: 'ERR_ASGI_STARTUP' });
  });

  test('lifespan off: never called, and no state', async () => {
    const opened = open('lifespan_kinds:raises_after_receive', { lifespan: 'off' });
    expect(await ask(opened)).toMatchObject({ log: expect.arrayContaining(['request']), state: null });
  });
});

test('L-11 wrong messages raise in the app', async () => {
  const { log } = await ask(open('lifespan_kinds:wrong_messages'));
  expect(log.slice(0, 4)).toEqual(Array(4).fill('RuntimeError'));
});

describe('shutdown', () => {
  test('L-08 comes after the requests under way have ended', async () => {
    const { handler } = open('lifespan_kinds:drains');
    await handler.ready();
    const slow = handler.handleRequest({ url: '/slow' });
    await later(50);
    const closing = handler.close();
    await expect(handler.handleRequest({ url: '/' })).rejects.toMatchObject({ code: 'ERR_ASGI_CLOSED', status: 503 });
    expect((await slow).status).toBe(200);
    expect(await closing).toEqual({ drained: 1, cancelled: 0, timedOut: false, lifespan: 'complete' });
    const again = open('lifespan_kinds:drains');
    expect(await ask(again)).toEqual(['request ended', 'shutdown']);
  });

  test('L-08 requests that do not end are told, then cancelled, within the timeout', async () => {
    const { handler, errors } = open('lifespan_kinds:drains');
    await handler.ready();
    const stubborn = handler.handleRequest({ url: '/stubborn' });
    stubborn.catch(() => {});
    await later(50);
    const began = Date.now();
    const report = await handler.close({ timeout: 400 });
    expect(Date.now() - began).toBeLessThan(1500);
    expect(report).toMatchObject({ cancelled: 1, lifespan: 'complete' });
    await expect(stubborn).rejects.toMatchObject({ code: 'ERR_ASGI_CLOSED' });
    expect(errors).toEqual([]);
    expect((await ask(open('lifespan_kinds:drains'))).slice(-4)).toEqual(['waiting', 'told', 'cancelled', 'shutdown']);
  });

  test('L-09 shutdown.failed is told in the report', async () => {
    const { handler } = open('lifespan_shutdown_failed');
    await handler.ready();
    expect(await handler.close()).toMatchObject({ lifespan: 'failed: could not flush' });
  });

  test('L-12 an exception in shutdown is told in the report', async () => {
    const { handler } = open('lifespan_kinds:raises_at_shutdown');
    await handler.ready();
    expect((await handler.close()).lifespan).toMatch(/^failed: .*OSError.*could not save/);
  });

  test('L-10 a shutdown that hangs ends with the timeout', async () => {
    const { handler } = open('lifespan_shutdown_failed:hangs');
    await handler.ready();
    const began = Date.now();
    expect(await handler.close({ timeout: 300 })).toMatchObject({ lifespan: 'timeout', timedOut: true });
    expect(Date.now() - began).toBeLessThan(2000);
  });

  test('L-14 close() twice, before ready(), and on an app that failed', async () => {
    const { handler } = open('lifespan_kinds:scope_shown');
    const first = handler.close();
    expect(handler.close()).toBe(first);
    expect(await first).toMatchObject({ timedOut: false });
    await expect(handler.handleRequest({ url: '/' })).rejects.toMatchObject({ code: 'ERR_ASGI_CLOSED' });
    expect(() => handler.handleRequestSync({ url: '/' })).toThrow(expect.objectContaining({ code: 'ERR_ASGI_CLOSED' }));
    expect(await open('no_such_module').handler.close()).toMatchObject({ lifespan: 'unsupported' });
  });

  test('L-14 a server whose handler is closed answers 503', async () => {
    const { handler } = open('hello');
    await handler.ready();
    const server = await serveHttp(handler);
    await handler.close();
    const response = await fetchRaw(server.port, {});
    await server.close();
    expect(response.status).toBe(503);
  });

  test('await using closes', async () => {
    const { handler } = open('lifespan_shutdown_failed');
    await handler.ready();
    await handler[Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose')]();
    await expect(handler.handleRequest({ url: '/' })).rejects.toMatchObject({ code: 'ERR_ASGI_CLOSED' });
  });
});

test('a lifespan that dies while the app is served is reported, and requests go on', async () => {
  const opened = open('lifespan_kinds:dies_while_serving');
  await opened.handler.ready();
  await eventually(() => opened.errors.length > 0);
  expect(opened.errors).toMatchObject([{ code: 'ERR_ASGI_LIFESPAN', pythonMessage: 'died while serving' }]);
  expect((await ask(opened)).log).toContain('request');
});
