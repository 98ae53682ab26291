'use strict';

/** Pieces of a body travel to a socket in memory that is used again: nobody may ever see a piece that is not theirs. */

const { once } = require('node:events');
const http = require('node:http');
const net = require('node:net');
const path = require('node:path');
const { Duplex } = require('node:stream');

const compression = require('compression');
const express = require('express');

const { PythonHandler } = require('../..');

const handler = new PythonHandler({ docroot: path.resolve(__dirname, '../../fixtures/core'), target: 'pieces:app' });
/** @type {import('node:net').Server[]} */
const servers = [];
/** The memory of every large piece that a socket was given, as often as it was given. @type {ArrayBuffer[]} */
const given = [];
/** How often memory was used again. */
const lent = () => given.length - new Set(given).size;

beforeAll(() => handler.ready());

afterEach(() => {
  given.length = 0;
  for (const server of servers.splice(0)) {
    server.close();
    server.closeAllConnections?.();
  }
});

afterAll(() => handler.close());

/** Sees what Node itself does with a socket. @param {any} socket */
function watch(socket) {
  const { _write: writeOne, _writev: writeSome } = socket;
  const see = (chunk) => {
    if (Buffer.isBuffer(chunk) && chunk.length > 8000) given.push(chunk.buffer);
  };
  socket._write = function seen(chunk, ...rest) {
    see(chunk);
    return writeOne.call(this, chunk, ...rest);
  };
  socket._writev = function seen(chunks, ...rest) {
    for (const { chunk } of chunks) see(chunk);
    return writeSome.call(this, chunks, ...rest);
  };
}

async function listening(server) {
  server.on('connection', watch);
  servers.push(server.listen(0, '127.0.0.1'));
  await once(server, 'listening');
  return server.address().port;
}

/** What fixtures/core/pieces.py sends. */
function expected({ seed, count, size }) {
  return Buffer.concat(Array.from({ length: count }, (_, number) => {
    const pattern = `${seed}-${number};`;
    return Buffer.from(pattern.repeat(Math.floor(size / pattern.length) + 1).slice(0, size));
  }));
}

const target = (query) => `/?${new URLSearchParams(Object.entries(query).map(([key, value]) => [key, String(value)]))}`;

/** @param {(response: import('node:http').IncomingMessage) => AsyncIterable<Buffer>} [read] */
async function get(port, query, headers = {}, read = (response) => response) {
  const request = http.get({ port, host: '127.0.0.1', path: target(query), headers, agent: false });
  const [response] = await once(request, 'response');
  const chunks = [];
  for await (const chunk of read(response)) chunks.push(chunk);
  return { response, body: Buffer.concat(chunks) };
}

/** Takes its time with every chunk. */
async function* slowly(response) {
  for await (const chunk of response) {
    yield Buffer.from(chunk);
    await new Promise((resolve) => { setTimeout(resolve, 2); });
  }
}

/** Whether they are equal: toEqual() would print megabytes. */
const same = (one, other) => one.length === other.length && Buffer.compare(one, other) === 0;

const SIZES = [['above the least', 8193], ['a block', 65536], ['more than a block', 100_000], ['several blocks', 300_000]];

describe.each(SIZES)('pieces of %s', (_, size) => {
  test('arrive as they were sent, at many clients at once', async () => {
    const port = await listening(http.createServer(handler.listener()));
    const queries = Array.from({ length: 12 }, (_unused, seed) => ({ seed, count: 40, size }));
    const answers = await Promise.all(queries.map((query, i) => get(port, query, {}, i % 2 ? slowly : undefined)));
    for (const [i, { body }] of answers.entries()) expect(same(body, expected(queries[i]))).toBe(true);
    // Nearly all: a batch of pieces is written in one turn, in which Node corks the socket.
    expect(lent()).toBeGreaterThan(given.length / 2);
  });
});

test('whoever replaces write() may keep what it gets', async () => {
  const kept = [];
  const app = express();
  app.use((req, res, next) => {
    const { write } = res;
    res.write = function keep(chunk, ...rest) {
      kept.push(chunk);
      return write.call(this, chunk, ...rest);
    };
    next();
  });
  app.use(handler.middleware());
  const port = await listening(http.createServer(app));
  const query = { seed: 7, count: 60, size: 65536 };
  const { body } = await get(port, query);
  expect(same(body, expected(query))).toBe(true);
  expect(same(Buffer.concat(kept), body.subarray(0, Buffer.concat(kept).length))).toBe(true);
  expect(lent()).toBe(0);
});

test('write() replaced while the body is on its way gets copies', async () => {
  const kept = [];
  const server = http.createServer((req, res) => {
    setImmediate(() => {
      const { write } = res;
      res.write = function keep(chunk, ...rest) {
        kept.push(chunk);
        return write.call(this, chunk, ...rest);
      };
    });
    handler.listener()(req, res);
  });
  const query = { seed: 8, count: 200, size: 65536 };
  const { body } = await get(await listening(server), query);
  expect(same(body, expected(query))).toBe(true);
  expect(kept.length).toBeGreaterThan(10);
  const all = Buffer.concat(kept);
  const end = body.lastIndexOf(all.subarray(-1000)) + 1000;
  expect(same(all, body.subarray(end - all.length, end))).toBe(true);
});

test('packed by middleware', async () => {
  const app = express();
  app.use(compression({ filter: () => true }));
  app.use(handler.middleware());
  const query = { seed: 9, count: 50, size: 65536 };
  const { response, body } = await get(await listening(http.createServer(app)), query, { 'accept-encoding': 'gzip' });
  expect(response.headers['content-encoding']).toBe('gzip');
  expect(same(require('node:zlib').gunzipSync(body), expected(query))).toBe(true);
});

test('a socket that is not a socket of Node may keep what it gets', async () => {
  const kept = [];
  let done;
  const ended = new Promise((resolve) => { done = resolve; });
  const query = { seed: 10, count: 60, size: 65536, length: 1 };
  const duplex = new Duplex({
    read() {},
    write(chunk, _encoding, callback) {
      kept.push(chunk); // and tells at once that it is written
      callback();
      if (Buffer.concat(kept).length >= query.count * query.size) setImmediate(done);
    },
  });
  const server = http.createServer(handler.listener());
  servers.push(server);
  server.emit('connection', duplex);
  duplex.push(`GET ${target(query)} HTTP/1.1\r\nhost: x\r\n\r\n`);
  await ended;
  const all = Buffer.concat(kept);
  expect(same(all.subarray(all.indexOf('\r\n\r\n') + 4), expected(query))).toBe(true);
});

test('more clients that stand still than there is memory to lend', async () => {
  const port = await listening(http.createServer(handler.listener()));
  const query = { seed: 11, count: 80, size: 65536, length: 1 };
  const still = await Promise.all(Array.from({ length: 60 }, async () => {
    const socket = net.connect(port, '127.0.0.1', () => socket.write(`GET ${target(query)} HTTP/1.1\r\nhost: x\r\n\r\n`));
    await once(socket, 'readable');
    return socket;
  }));
  const { body } = await get(port, { ...query, seed: 12 });
  expect(same(body, expected({ ...query, seed: 12 }))).toBe(true);
  for (const socket of still.slice(0, 30)) socket.destroy();
  const rest = await Promise.all(still.slice(30).map(async (socket) => {
    const chunks = [];
    let left = Infinity;
    for await (const chunk of socket) {
      chunks.push(chunk);
      // The head is in the first chunk, or in none: then the test fails below.
      if (left === Infinity) left = chunk.indexOf('\r\n\r\n') + 4 + query.count * query.size;
      left -= chunk.length;
      if (left <= 0) break;
    }
    return Buffer.concat(chunks);
  }));
  for (const answer of rest) expect(same(answer.subarray(answer.indexOf('\r\n\r\n') + 4), expected(query))).toBe(true);
});

test('what was on its way to sockets that break is lent again', async () => {
  let breaking = true;
  const port = await listening(http.createServer((req, res) => {
    const { writeHead } = res;
    res.writeHead = function breaks(...args) {
      writeHead.apply(this, args);
      if (breaking) req.socket.destroy(); // the pieces come in the same turn
    };
    handler.listener()(req, res);
  }));
  const query = { seed: 16, count: 8, size: 65536, length: 1 };
  for (let i = 0; i < 150; i += 1) await get(port, query).catch(() => {});
  breaking = false;
  given.length = 0;
  const { body } = await get(port, { ...query, count: 60 });
  expect(same(body, expected({ ...query, count: 60 }))).toBe(true);
  expect(lent()).toBeGreaterThan(0);
});

test('whoever replaces end() gets a whole body in one piece', async () => {
  const ends = [];
  const app = express();
  app.use((req, res, next) => {
    const { end } = res;
    res.end = function last(chunk, ...rest) {
      ends.push(chunk.length);
      return end.call(this, chunk, ...rest);
    };
    next();
  });
  app.use(handler.middleware());
  const port = await listening(http.createServer(app));
  const query = { seed: 17, count: 1, size: 300_000, length: 1, whole: 1 };
  const { body } = await get(port, query);
  expect(same(body, expected(query))).toBe(true);
  expect(ends).toEqual([300_000]);
});

describe('a large body in one piece', () => {
  test.each([['told', 1, '1000003'], ['not told', 0, undefined]])('its length %s by the app', async (_, length, field) => {
    const port = await listening(http.createServer(handler.listener()));
    const query = { seed: 13, count: 1, size: 1_000_003, length, whole: 1 };
    for (let i = 0; i < 4; i += 1) {
      const { response, body } = await get(port, query);
      expect(response.headers['content-length']).toBe(field);
      expect(same(body, expected(query))).toBe(true);
    }
    expect(lent()).toBeGreaterThan(0);
  });

  test('of status 404 is left to the next handler where it may be', async () => {
    const app = express();
    app.use(handler.middleware({ fallthrough: true }));
    app.use((req, res) => res.status(200).end('next'));
    const port = await listening(http.createServer(app));
    const { body } = await get(port, { seed: 14, count: 1, size: 200_000, length: 1, whole: 1, status: 404 });
    expect(body.toString()).toBe('next');
  });

  test('is not sent in answer to HEAD', async () => {
    const port = await listening(http.createServer(handler.listener()));
    const query = { seed: 15, count: 1, size: 200_000, length: 1, whole: 1 };
    const request = http.request({ port, host: '127.0.0.1', method: 'HEAD', path: target(query), agent: false }).end();
    const [response] = await once(request, 'response');
    expect(response.headers['content-length']).toBe('200000');
    expect((await response.toArray()).length).toBe(0);
  });
});
