'use strict';

const http = require('node:http');

const { PythonHandler } = require('node-asgi');

const { listen } = require('../listen');

const python = new PythonHandler({ docroot: __dirname, target: 'main:app' });

listen(http.createServer(python.listener()), python);
