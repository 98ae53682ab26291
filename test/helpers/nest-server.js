'use strict';

/**
 * A Nest application in a process of its own, as Nest is made of ES modules, which Jest does not load. Serves the app
 * of fixtures/hosts twice: below /used by app.use(), below /applied by a module. With the argument `raw`, Nest keeps
 * the bytes of bodies. Beside it, /beside/control asks the app itself, and /beside/reported tells what the handlers have reported.
 */

require('reflect-metadata');

const path = require('node:path');

const { Controller, Get, Module } = require('@nestjs/common');
const { NestFactory } = require('@nestjs/core');

const { PythonHandler } = require('../..');

const python = new PythonHandler({ docroot: path.resolve(__dirname, '../../fixtures/hosts'), target: 'hosted:app' });
const reported = [];
python.on('error', (error) => reported.push(error.pythonMessage ?? error.code));

/** Decorates without the syntax for it. */
function decorate(type, ...decorators) {
  for (const decorator of decorators) decorator(type);
  return type;
}

function method(type, name, ...decorators) {
  for (const decorator of decorators) {
    decorator(type.prototype, name, Object.getOwnPropertyDescriptor(type.prototype, name));
  }
}

class NodeController {
  answer() {
    return { answeredBy: 'Nest' };
  }

  fail() {
    throw new Error('of a controller');
  }
}
decorate(NodeController, Controller('node'));
method(NodeController, 'answer', Get());
method(NodeController, 'fail', Get('fails'));

class AppModule {
  configure(consumer) {
    consumer.apply(python.middleware()).forRoutes('/applied', '/applied/*path');
  }
}
decorate(AppModule, Module({ controllers: [NodeController] }));

async function main() {
  const app = await NestFactory.create(AppModule, { logger: false, rawBody: process.argv[2] === 'raw' });
  app.use('/used', python.middleware());
  app.use('/beside/reported', (req, res) => { res.json(reported); });
  app.use('/beside/control', async (req, res) => {
    (await python.handleRequest({ url: req.url })).send(res);
  });
  await app.listen(0, '127.0.0.1');
  await python.ready();
  console.log(`port ${app.getHttpServer().address().port}`);
  process.once('SIGTERM', async () => {
    const closed = app.close();
    app.getHttpServer().closeAllConnections();
    await closed;
    await python.close();
  });
}

main();
