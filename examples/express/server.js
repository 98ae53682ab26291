'use strict';

const http = require('node:http');

const express = require('express');
const { PythonHandler } = require('node-asgi');

const { listen } = require('../listen');

const python = new PythonHandler({ docroot: __dirname, target: 'main:app' });

const app = express();
app.get('/node', (req, res) => {
  res.json({ answeredBy: 'Express', node: process.version });
});
// Everything else goes to Python. With a path, app.use('/api', …), the Python app gets it as its root_path.
app.use(python.middleware());

const server = http.createServer(app);
// WebSockets do not pass through Express: the app's come from the server itself.
python.attach(server);
listen(server, python);
