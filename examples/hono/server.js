'use strict';

const { createAdaptorServer } = require('@hono/node-server');
const { Hono } = require('hono');
const { PythonHandler } = require('node-asgi');

const { listen } = require('../listen');

const python = new PythonHandler({ docroot: __dirname, target: 'main:app', rootPath: '/api' });

const app = new Hono();
app.all('/api/*', (c) => python.fetch(c.req.raw));
app.get('/node', (c) => c.json({ answeredBy: 'Hono', node: process.version }));

listen(createAdaptorServer({ fetch: app.fetch }), python);
