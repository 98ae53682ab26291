'use strict';

/** What a client must not be able to do, over sockets; response splitting is H-22, broken bytes are the fuzzers'. */

const path = require('node:path');

const { Child } = require('../helpers/child');
const { coreApps, eventually } = require('../helpers/core-apps');
const { fetchRaw, RawConnection } = require('../helpers/raw-http');

const { serve } = coreApps();
const ROOT = path.resolve(__dirname, '../..');

describe('Host', () => {
  let app;
  beforeAll(async () => { app = await serve('scope_dump'); });

  const statusOf = async (lines) => {
    const connection = await RawConnection.open(app.port);
    connection.write(Buffer.from([...lines, '', ''].join('\r\n'), 'latin1'));
    const { status } = await connection.readResponse();
    connection.destroy();
    return status;
  };

  test.each([
    'example.test', 'example.test:8080', 'EXAMPLE.test', '127.0.0.1', '[::1]', '[2001:db8::1]:80', 'a_b.test', 'xn--bcher-kva.test',
    '', 'a%20b.test', 'a,b', 'a.test:',
  ])('%j is served', async (host) => {
    expect(await statusOf(['GET / HTTP/1.1', `Host: ${host}`])).toBe(200);
  });

  test.each([
    'a b', 'a/b', 'user@example.test', 'a:b:c', '[::1]x', 'example.test:port', '[::1', 'a?b', 'a#b', 'a\\b', 'caf\xe9.test', '"a"', '<a>',
  ])('%j is answered 400, without asking the app', async (host) => {
    const { total } = app.handler.stats();
    expect(await statusOf(['GET / HTTP/1.1', `Host: ${host}`])).toBe(400);
    expect(app.errors).toEqual([]);
    expect(app.handler.stats().total - total).toBeLessThanOrEqual(1);
  });

  test.each([
    ['two', ['Host: a.test', 'Host: a.test']], ['one beside another name', ['Host: a.test', 'X-Other: 1', 'host: b.test']],
  ])('%s is answered 400', async (_, fields) => {
    expect(await statusOf(['GET / HTTP/1.1', ...fields])).toBe(400);
  });
});

test('files of docroot are the app\'s to serve, and nobody else\'s', async () => {
  const app = await serve('status');
  for (const target of ['/status.py', '/hello.py', '/../package.json', '/%2e%2e/package.json', '//etc/passwd']) {
    const response = await fetchRaw(app.port, { target });
    expect(response.body.toString()).not.toMatch(/import|"name"|root:/);
  }
});

test('control characters of a request reach no terminal by the log', async () => {
  const child = new Child(['-e', `
    const http = require('node:http');
    const { PythonHandler } = require(${JSON.stringify(ROOT)});
    const handler = new PythonHandler({ docroot: ${JSON.stringify(path.join(ROOT, 'fixtures/core'))}, target: 'raises_path:app' });
    const server = http.createServer(handler.listener()).listen(0, '127.0.0.1', () => console.log('port', server.address().port));
  `]);
  try {
    const [, port] = await child.printed(/^port (\d+)$/m);
    const response = await fetchRaw(Number(port), { target: '/%1b%5D0;owned%07%1b%5B2J%9b31m%0d%00/%c2%9b' });
    expect(response.status).toBe(500);
    await eventually(() => child.stderr.includes('owned'));
    expect(child.stderr).toContain('\\x1b]0;owned\\x07');
    // eslint-disable-next-line no-control-regex -- all but tab and line feed
    expect(child.stderr).not.toMatch(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/);
  } finally {
    child.kill('SIGKILL');
  }
});
