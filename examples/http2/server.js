'use strict';

const http2 = require('node:http2');

const { PythonHandler } = require('node-asgi');

const { certificate } = require('../certificate');
const { listenTls } = require('../listen-tls');

const python = new PythonHandler({ docroot: __dirname, target: 'main:app' });

// A client that does not speak HTTP/2 is served by HTTP/1.1.
listenTls(http2.createSecureServer({ ...certificate(), allowHTTP1: true }, python.listener()), python);
