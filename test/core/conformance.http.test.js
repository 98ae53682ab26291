'use strict';

/** Lines H- of the ASGI checklist that need more than test/core/messages.test.js shows. */

const { once } = require('node:events');
const fs = require('node:fs');
const http = require('node:http');
const http2 = require('node:http2');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');

const { coreApps, eventually, jsonOf, later } = require('../helpers/core-apps');
const { chunkBytes, headerValues, RawConnection, requestBytes } = require('../helpers/raw-http');

const docroot = path.resolve(__dirname, '../../fixtures/conformance');
const { serve, closeLater } = coreApps();

let served;
let folder;

beforeAll(async () => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'node-asgi-'));
  served = await serve('conformance_http', { docroot });
});

afterAll(() => fs.rmSync(folder, { recursive: true }));

const newKey = () => crypto.randomUUID();
const connect = () => RawConnection.open(served.port);
/** A file that does not exist yet. */
const newFile = () => path.join(folder, newKey());

describe('receiving', () => {
  test('H-01 the app is called when the headers are whole, not before, and not again for the body', async () => {
    const key = newKey();
    const connection = await connect();
    await connection.write(`POST /counted?key=${key} HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n`);
    await later(50);
    expect(await served.fetchJson(`/times-called?key=${key}`)).toBe(0);
    await connection.write('\r\n');
    await eventually(() => served.fetchJson(`/times-called?key=${key}`));
    await connection.write('body');
    expect(jsonOf(await connection.readResponse()).calls).toBe(1);
    await connection.write(requestBytes({ target: `/counted?key=${key}` }));
    expect(jsonOf(await connection.readResponse()).calls).toBe(2);
    connection.destroy();
  });

  const truncated = [
    ['an announced length', 'Content-Length: 10', Buffer.from('half')],
    ['chunks', 'Transfer-Encoding: chunked', chunkBytes('half')],
    ['a chunk cut in two', 'Transfer-Encoding: chunked', Buffer.from('8\r\nhalf')],
  ];
  const cuts = truncated.flatMap(([name, ...row]) => ['reset', 'destroy', 'end'].map((how) => [name, how, ...row]));
  test.each(cuts)('H-09 an upload of %s that is cut off by %s is no whole body', async (_, how, framing, half) => {
    const key = newKey();
    const connection = await connect();
    await connection.write(`POST /until-gone?key=${key} HTTP/1.1\r\nHost: a\r\n${framing}\r\n\r\n`);
    await connection.write(half);
    await eventually(async () => (await served.fetchJson(`/seen?key=${key}`))?.length === 1);
    connection[how]();
    const got = await eventually(async () => {
      const all = await served.fetchJson(`/seen?key=${key}`);
      return all.at(-1)[0] === 'http.disconnect' && all;
    });
    expect(got).toEqual([['http.request', 4, true], ['http.disconnect', 0, null]]);
    connection.destroy();
  });

  describe('100-continue', () => {
    let port;
    beforeAll(async () => {
      const server = http.createServer(served.handler.listener());
      served.handler.attach(server);
      closeLater({ close: () => new Promise((resolve) => { server.close(resolve); server.closeAllConnections(); }) });
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      ({ port } = server.address());
    });
    const head = (target) => `POST ${target} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n`;

    test('H-14 the 100 is written on the first receive(), and nothing before it', async () => {
      const file = newFile();
      const socket = net.connect(port, '127.0.0.1', () => socket.write(head(`/reads-when-told?file=${file}`)));
      let text = '';
      socket.setEncoding('latin1').on('data', (data) => { text += data; });
      await eventually(() => served.handler.stats().inFlight > 0);
      await later(150);
      expect(text).toBe('');
      fs.writeFileSync(file, '');
      await eventually(() => text !== '');
      expect(text).toBe('HTTP/1.1 100 Continue\r\n\r\n');
      socket.write('body');
      await eventually(() => text.includes('"body"'));
      expect(text).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK\r\n/);
      socket.destroy();
    });

    test('H-14 an app that answers without receive() has no 100 written', async () => {
      const connection = await RawConnection.open(port);
      await connection.write(head('/never-reads'));
      const response = await connection.readResponse();
      expect([jsonOf(response), response.informational]).toEqual(['not wanted', []]);
      connection.destroy();
    });
  });

  test('H-15 H-37 an answer without receive(): what is sent of the body after it does not disturb the next request', async () => {
    const connection = await connect();
    await connection.write('POST /never-reads HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n');
    await connection.write(chunkBytes('before the answer'));
    expect(jsonOf(await connection.readResponse())).toBe('not wanted');
    const rest = Buffer.concat([...Array.from({ length: 20 }, () => chunkBytes(Buffer.alloc(50_000))), Buffer.from('0\r\n\r\n')]);
    await connection.write(rest);
    await connection.write(requestBytes({ target: '/after-a-while?seconds=0' }));
    expect(jsonOf(await connection.readResponse())).toBe('0');
    connection.destroy();
  });

  test.each(['GET', 'POST', 'PUT'])('H-37 %s is answered by an app that never calls receive()', async (method) => {
    const body = method === 'GET' ? undefined : Buffer.alloc(300_000);
    expect(await served.fetchJson({ method, target: '/never-reads', body })).toBe('not wanted');
    expect((await served.handler.handleRequest({ method, url: '/never-reads', body })).json()).toBe('not wanted');
  });
});

describe('sending', () => {
  test('H-29 an empty piece sends the head off, and ends nothing', async () => {
    const file = newFile();
    const connection = await connect();
    await connection.write(requestBytes({ target: `/holds-the-loop?file=${file}` }));
    const response = await connection.readResponse({ onHead: () => fs.writeFileSync(file, '') });
    expect([headerValues(response, 'x-head'), response.body.toString()]).toEqual([['1'], 'flushed']);
    connection.destroy();
  });

  test('H-21 H-19 every byte that a value may hold goes out as it is', async () => {
    const response = await served.fetch('/all-bytes');
    const all = Buffer.from(Array.from({ length: 0x100 - 0x21 }, (_, n) => n + 0x21).filter((byte) => byte !== 0x7f));
    expect(headerValues(response, 'x-all-bytes')).toEqual([all.toString('latin1')]);
    expect(headerValues(response, 'set-cookie')).toEqual(['a=1', 'b=2']);
    const inProcess = await served.handler.handleRequest({ url: '/all-bytes' });
    expect(inProcess.headers.get('x-all-bytes')).toBe(all.toString('latin1'));
  });

  test('H-20 names of mixed case are lower-cased on HTTP/2, repeated ones stay', async () => {
    const server = http2.createServer(served.handler.listener()).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const session = http2.connect(`http://127.0.0.1:${server.address().port}`);
    try {
      const stream = session.request({ ':path': '/all-bytes' });
      const [fields] = await once(stream, 'response');
      stream.resume();
      await once(stream, 'end');
      expect(Object.keys(fields)).toContain('x-all-bytes');
      expect(fields['set-cookie']).toEqual(['a=1', 'b=2']);
    } finally {
      session.close();
      await new Promise((resolve) => { server.close(resolve); });
    }
  });

  test('H-40 nothing ends a response that takes longer than every deadline of the server', async () => {
    const server = http.createServer({
      connectionsCheckingInterval: 50, headersTimeout: 100, requestTimeout: 150, keepAliveTimeout: 100,
    }, served.handler.listener());
    closeLater({ close: () => new Promise((resolve) => { server.close(resolve); server.closeAllConnections(); }) });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const connection = await RawConnection.open(server.address().port);
    await connection.write(requestBytes({ target: '/silent?seconds=1.5' }));
    expect((await connection.readResponse()).body.toString()).toBe('first,last');
    connection.destroy();
  });

  test('H-41 a slow answer goes out before a quick one that was asked for later on the connection', async () => {
    const connection = await connect();
    const seconds = ['0.3', '0', '0.1'];
    await connection.write(Buffer.concat(seconds.map((each) => requestBytes({ target: `/after-a-while?seconds=${each}` }))));
    const answers = [];
    for (const each of seconds) answers.push([each, jsonOf(await connection.readResponse())]);
    expect(answers).toEqual(seconds.map((each) => [each, each]));
    connection.destroy();
  });
});
