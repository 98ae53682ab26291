'use strict';

const fastify = require('fastify');
const { PythonHandler } = require('node-asgi');

const { listen } = require('../listen');

const python = new PythonHandler({ docroot: __dirname, target: 'main:app' });

async function start() {
  const app = fastify();
  app.post('/words', async (request, reply) => {
    const response = await python.handleRequest({
      method: 'POST',
      url: '/count',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(request.body),
    });
    return reply.code(response.status).headers(response.headers.toJSON()).send(response.body);
  });
  app.get('/', async () => 'POST {"text": "some words"} as application/json to /words\n');
  await app.ready();
  await listen(app.server, python);
}

start();
