'use strict';

/** 1 GB to an app that reads slowly, and 1 GB to a client that reads slowly: memory stays where it was (P8). */

const { once } = require('node:events');
const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');

const { Child } = require('../helpers/child');

const GIGABYTE = 2 ** 30;
const CHUNK = Buffer.alloc(65536, 'a');
const MEGABYTE = 2 ** 20;
const MOST = 64 * MEGABYTE;

const SERVER = `
  const http = require('node:http');
  const { PythonHandler } = require(${JSON.stringify(path.resolve(__dirname, '../..'))});
  const handler = new PythonHandler({ docroot: ${JSON.stringify(path.resolve(__dirname, '../../fixtures/core'))}, target: 'slow_reader:app' });
  handler.ready().then(() => {
    const server = http.createServer(handler.listener());
    server.listen(0, '127.0.0.1', () => console.log('port ' + server.address().port + ' pid ' + process.pid));
  });
`;

let child;
let port;
let pid;

beforeAll(async () => {
  child = new Child(['-e', SERVER]);
  [, port, pid] = (await child.printed(/port (\d+) pid (\d+)/)).map(Number);
  await upload(32 * MEGABYTE);
  await download(32 * MEGABYTE);
});

afterAll(async () => {
  child.kill('SIGKILL');
  await child.ended();
});

/** Resident bytes of the server's process. */
const resident = () => Number(/VmRSS:\s+(\d+) kB/.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) * 1024;

/** Runs work and answers how much the server's memory has grown at most meanwhile. */
async function growth(work) {
  const before = resident();
  let most = before;
  const timer = setInterval(() => { most = Math.max(most, resident()); }, 20);
  try {
    await work();
  } finally {
    clearInterval(timer);
  }
  return most - before;
}

/** @param {number} size @returns {Promise<string>} the answer */
async function upload(size) {
  const request = http.request({ port, host: '127.0.0.1', method: 'POST', headers: { 'content-length': size } });
  const answered = once(request, 'response');
  for (let sent = 0; sent < size; sent += CHUNK.length) {
    if (!request.write(CHUNK)) await once(request, 'drain');
  }
  request.end();
  const [response] = await answered;
  let text = '';
  for await (const part of response) text += part;
  return text;
}

/** @param {number} size @param {number} [pause] milliseconds after each megabyte @returns {Promise<number>} bytes received */
async function download(size, pause = 0) {
  const [response] = await once(http.get({ port, host: '127.0.0.1', path: `/?size=${size}` }), 'response');
  let received = 0;
  let next = MEGABYTE;
  for await (const part of response) {
    received += part.length;
    if (pause > 0 && received >= next) {
      next += MEGABYTE;
      await new Promise((resolve) => { setTimeout(resolve, pause); });
    }
  }
  return received;
}

test('1 GB to an app that reads slowly', async () => {
  let answer;
  expect(await growth(async () => { answer = await upload(GIGABYTE); })).toBeLessThan(MOST);
  expect(answer).toBe(String(GIGABYTE));
}, 120_000);

test('1 GB to a client that reads slowly', async () => {
  let received;
  expect(await growth(async () => { received = await download(GIGABYTE, 5); })).toBeLessThan(MOST);
  expect(received).toBe(GIGABYTE);
}, 120_000);

test('a body that nobody reads is not read ahead', async () => {
  const grown = await growth(async () => {
    const [response] = await once(http.get({ port, host: '127.0.0.1', path: `/?size=${GIGABYTE}` }), 'response');
    await new Promise((resolve) => { setTimeout(resolve, 1500); });
    response.destroy();
  });
  expect(grown).toBeLessThan(MOST);
});
