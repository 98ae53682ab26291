'use strict';

/**
 * A replica as a balancer or Kubernetes wants it: says whether it is alive and ready, and leaves without losing a request.
 * PORT (default 8000), HOST (default 127.0.0.1), DRAIN_SECONDS (default 5).
 */

const http = require('node:http');
const { setTimeout: sleep } = require('node:timers/promises');

const { PythonHandler } = require('node-asgi');

const DRAIN_SECONDS = Number(process.env.DRAIN_SECONDS ?? 5);
/** Milliseconds that the Python app may hold its event loop before somebody should restart it. */
const TOO_LONG = 30_000;

const python = new PythonHandler({ docroot: __dirname, target: 'main:app', maxConcurrency: 500 });
const answer = python.listener();
let ready = false;

const server = http.createServer((req, res) => {
  // Node answers these by itself: they work while Python starts, and while it is blocked.
  if (req.url === '/livez') res.writeHead(python.stats().loopLag < TOO_LONG ? 200 : 503).end();
  else if (req.url === '/readyz') res.writeHead(ready ? 200 : 503).end();
  else answer(req, res);
});
python.attach(server); // WebSockets

server.listen(Number(process.env.PORT ?? 8000), process.env.HOST ?? '127.0.0.1', () => {
  console.log(`http://localhost:${server.address().port}/`);
});
python.ready().then(() => { ready = true; }, (error) => {
  console.error(error);
  process.exit(1);
});

process.once('SIGTERM', async () => {
  ready = false; // whoever asks /readyz sends no more from now on
  // A connection that is kept alive gets one more answer, which tells the other end to close it.
  server.prependListener('request', (req, res) => res.setHeader('connection', 'close'));
  await sleep(DRAIN_SECONDS * 1000);
  server.close();
  await python.close({ timeout: 20_000 }); // requests end, WebSockets get 1012, the lifespan shuts down
  server.closeAllConnections();
});
