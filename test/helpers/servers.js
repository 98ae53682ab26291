'use strict';

const http = require('node:http');

/**
 * A listening server and the way to end it.
 *
 * @typedef {{ port: number, server: http.Server, close(): Promise<void> }} Listening
 */

/** @param {http.Server} server @returns {Promise<Listening>} */
async function listen(server) {
  await new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    port: server.address().port,
    server,
    close: () => new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    }),
  };
}

/** @returns {Promise<number>} a port that nobody listens on, for a program that must be told one */
async function freePort() {
  const { port, close } = await listen(http.createServer());
  await close();
  return port;
}

/** Every request of a node:http server goes to the handler. @param {import('../..').PythonHandler} handler */
function serveHttp(handler) {
  return listen(http.createServer(handler.listener()));
}

/**
 * Requests of an Express app go to the handler, all of them or those below `mount`.
 *
 * @param {import('../..').PythonHandler} handler
 * @param {{ mount?: string, express?: Function }} [options]
 */
function serveExpress(handler, { mount, express = require('express') } = {}) {
  const app = express();
  app.disable('x-powered-by');
  if (mount) app.use(mount, handler.middleware());
  else app.use(handler.middleware());
  return listen(http.createServer(app));
}

module.exports = { listen, serveHttp, serveExpress, freePort };
