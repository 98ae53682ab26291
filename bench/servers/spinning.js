'use strict';

/** A route of Node's own, /node, and /spin, which lets Python compute for ever. Prints its port. */

const http = require('node:http');
const path = require('node:path');

const { PythonHandler } = require('../..');

const handler = new PythonHandler({ docroot: path.join(__dirname, '../drivers'), target: 'spins:app' });
handler.ready().then(() => {
  const server = http.createServer((req, res) => {
    if (req.url === '/spin') handler.handleRequest({ url: '/' }).catch(() => {});
    res.writeHead(200, { 'content-length': 2 }).end('ok');
  });
  server.listen(0, '127.0.0.1', () => console.log(server.address().port));
});
