'use strict';

/** Two workers of node:cluster that host an app; the first is killed. Prints whether all requests were answered. */

const cluster = require('node:cluster');
const http = require('node:http');
const path = require('node:path');

const { PythonHandler } = require('../..');

function primary() {
  const workers = [cluster.fork(), cluster.fork()];
  let listening = 0;
  cluster.on('listening', async (_worker, { port }) => {
    if (++listening < workers.length) return;
    const ask = () => new Promise((resolve) => {
      http.get({ port, agent: false }, (res) => { res.resume(); resolve(res.statusCode); }).on('error', () => resolve(0));
    });
    const askOften = async () => (await Promise.all(Array.from({ length: 20 }, ask))).every((status) => status === 200);
    const before = await askOften();
    workers[0].process.kill('SIGKILL');
    await new Promise((resolve) => { workers[0].on('exit', resolve); });
    console.log(before, await askOften());
    workers[1].process.kill('SIGTERM');
  });
}

function worker() {
  const handler = new PythonHandler({ docroot: path.resolve(__dirname, '../../fixtures/core'), target: 'hello:app' });
  http.createServer(handler.listener()).listen(0, '127.0.0.1');
  process.on('SIGTERM', async () => {
    await handler.close();
    process.exit(0);
  });
}

if (cluster.isPrimary) primary();
else worker();
