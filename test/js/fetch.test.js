'use strict';

const path = require('node:path');

const { PythonHandler } = require('../..');

const docroot = path.join(__dirname, '..', '..', 'fixtures', 'core');

describe('handler.fetch()', () => {
  const handlers = {};

  beforeAll(async () => {
    for (const name of ['echo', 'scope_dump', 'slow']) handlers[name] = new PythonHandler({ docroot, target: `${name}:app` });
    await Promise.all(Object.values(handlers).map((handler) => handler.ready()));
  });

  afterAll(() => Promise.all(Object.values(handlers).map((handler) => handler.close())));

  test('takes a path and answers with a WHATWG Response', async () => {
    const response = await handlers.scope_dump.fetch('/a?b', { headers: { 'x-one': '1' } });
    expect(response).toBeInstanceOf(Response);
    expect(response.status).toBe(200);
    const { scope } = await response.json();
    expect(scope).toMatchObject({ path: '/a', query_string: 'b' });
    expect(scope.headers).toContainEqual(['x-one', '1']);
  });

  test('takes a Request with a streaming body and streams it back', async () => {
    const body = new ReadableStream({
      start(controller) {
        for (const part of ['one ', 'two ', 'three']) controller.enqueue(new TextEncoder().encode(part));
        controller.close();
      },
    });
    const request = new Request('https://example.org/echo', { method: 'POST', body, duplex: 'half' });
    const response = await handlers.echo.fetch(request);
    expect(await response.text()).toBe('one two three');
  });

  test('takes the scheme and the host from an absolute URL', async () => {
    const { scope } = await (await handlers.scope_dump.fetch('https://example.org/x')).json();
    expect(scope).toMatchObject({ scheme: 'https', path: '/x' });
    expect(scope.headers).toContainEqual(['host', 'example.org']);
  });

  test('rejects when its signal aborts', async () => {
    const signal = AbortSignal.timeout(50);
    await expect(handlers.slow.fetch('/?seconds=10', { signal })).rejects.toMatchObject({ name: 'TimeoutError' });
  });
});
