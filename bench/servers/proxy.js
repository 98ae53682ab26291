'use strict';

/** node:http that passes every request on to the port in argv through undici. Prints its port. */

const http = require('node:http');

const { Pool } = require('undici');

const pool = new Pool(`http://127.0.0.1:${process.argv[2]}`, { connections: 64 });
const server = http.createServer((req, res) => {
  pool.stream({ path: req.url, method: req.method, headers: req.headers, body: null, opaque: res },
    ({ statusCode, headers, opaque }) => opaque.writeHead(statusCode, headers)).catch(() => res.destroy());
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
