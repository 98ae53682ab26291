'use strict';

/** A Python app behind node:https. */

const https = require('node:https');
const net = require('node:net');
const tls = require('node:tls');

const { eventually } = require('../helpers/core-apps');
const { askHttp1, closeServer, hostSuite, inside, listening, openApp, selfSigned } = require('../helpers/host-suite');

const opened = openApp();
let server;
let port;

beforeAll(async () => {
  server = https.createServer(selfSigned(), opened.handler.listener());
  port = await listening(server);
  await opened.handler.ready();
});

afterAll(async () => {
  await closeServer(server);
  await opened.handler.close();
});

const { get, control } = hostSuite(() => ({
  ask: askHttp1(`https://127.0.0.1:${port}`), prefix: '', ...inside(opened),
}), { scheme: 'https' });

test('the server is named by its address and port', async () => {
  expect((await get('/json')).json().scope.server).toEqual(['127.0.0.1', port]);
});

test('one connection serves several requests, whose scheme is https each time', async () => {
  const agent = new https.Agent({ keepAlive: true, maxSockets: 1, rejectUnauthorized: false });
  const sockets = new Set();
  for (let n = 0; n < 3; n += 1) {
    const scope = await new Promise((resolve, reject) => {
      https.get({ port, host: '127.0.0.1', path: '/json', agent }, async (response) => {
        sockets.add(response.socket.localPort);
        let text = '';
        for await (const piece of response) text += piece;
        resolve(JSON.parse(text).scope);
      }).on('error', reject);
    });
    expect(scope).toMatchObject({ scheme: 'https', http_version: '1.1' });
  }
  agent.destroy();
  expect(sockets.size).toBe(1);
});

test('a client that speaks no TLS never reaches the app', async () => {
  const { total } = opened.handler.stats();
  const socket = net.connect(port, '127.0.0.1');
  socket.on('error', () => {});
  socket.write('GET /json HTTP/1.1\r\nHost: x\r\n\r\n');
  await new Promise((resolve) => { socket.on('close', resolve); socket.resume(); });
  expect(opened.handler.stats().total).toBe(total);
});

test('a connection that is cut without a closing alert is a disconnect too', async () => {
  await control('/forget');
  const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false });
  socket.on('error', () => {});
  socket.write('GET /wait HTTP/1.1\r\nHost: x\r\n\r\n');
  await eventually(async () => (await control('/records')).length === 1);
  socket.destroy();
  await eventually(async () => (await control('/records')).length === 2);
  expect(await control('/records')).toEqual([['wait', 'waiting'], ['wait', 'http.disconnect']]);
});
