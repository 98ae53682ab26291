'use strict';

const http = require('node:http');
const { Transform } = require('node:stream');
const { pipeline } = require('node:stream/promises');

const { PythonHandler } = require('node-asgi');

const { listen } = require('../listen');

const python = new PythonHandler({ docroot: __dirname, target: 'main:app' });

/** Node may change what passes through: here, to upper case. */
const shout = () => new Transform({
  transform(chunk, _, done) {
    done(null, chunk.toString().toUpperCase());
  },
});

const server = http.createServer(async (req, res) => {
  try {
    const response = await python.handleStream(req);
    res.writeHead(response.status, response.headers.toJSON());
    await pipeline(response, shout(), res);
  } catch (error) {
    console.error(error);
    res.destroy();
  }
});

listen(server, python);
