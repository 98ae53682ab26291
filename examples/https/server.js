'use strict';

const https = require('node:https');

const { PythonHandler } = require('node-asgi');

const { certificate } = require('../certificate');
const { listenTls } = require('../listen-tls');

const python = new PythonHandler({ docroot: __dirname, target: 'main:app' });

listenTls(https.createServer(certificate(), python.listener()), python);
