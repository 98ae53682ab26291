'use strict';

const path = require('node:path');

const fastify = require('fastify');

const plugin = require('../../lib/fastify');

const docroot = path.join(__dirname, '..', '..', 'fixtures', 'core');

describe('the Fastify plugin', () => {
  let server;
  let origin;

  beforeAll(async () => {
    server = fastify();
    server.addHook('onRequest', async (_request, reply) => {
      reply.header('x-hook', 'yes');
    });
    server.post('/node', async (request) => request.body);
    await server.register(plugin, { prefix: '/py', docroot, target: 'scope_dump:app' });
    await server.register(plugin, { prefix: '/echo', docroot, target: 'echo:app' });
    origin = await server.listen({ port: 0 });
  });

  afterAll(() => server.close());

  test('gives the app its prefix as root_path, which the path includes', async () => {
    const { scope } = await (await fetch(`${origin}/py/some/path?q=1`)).json();
    expect(scope).toMatchObject({ root_path: '/py', path: '/py/some/path', query_string: 'q=1' });
  });

  test('answers the prefix itself', async () => {
    const { scope } = await (await fetch(`${origin}/py`)).json();
    expect(scope).toMatchObject({ root_path: '/py', path: '/py' });
  });

  test('passes the raw body on, also of types that Fastify would parse', async () => {
    const body = '{"not": json';
    const response = await fetch(`${origin}/echo`, {
      method: 'POST', body, headers: { 'content-type': 'application/json' },
    });
    expect(await response.text()).toBe(body);
  });

  test("leaves the body parsers of Node's own routes alone", async () => {
    const response = await fetch(`${origin}/node`, {
      method: 'POST', body: '{"a": 1}', headers: { 'content-type': 'application/json' },
    });
    expect(await response.json()).toEqual({ a: 1 });
  });

  test('keeps what hooks have set on the reply', async () => {
    expect((await fetch(`${origin}/py`)).headers.get('x-hook')).toBe('yes');
  });
});
