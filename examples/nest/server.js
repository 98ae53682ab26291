'use strict';

require('reflect-metadata');

const { Module } = require('@nestjs/common');
const { NestFactory } = require('@nestjs/core');
const { PythonHandler } = require('node-asgi');

const { listen } = require('../listen');

const python = new PythonHandler({ docroot: __dirname, target: 'main:app' });

class AppModule {}
Module({})(AppModule); // @Module({}), in a language that has decorators

async function start() {
  const app = await NestFactory.create(AppModule, { logger: ['error', 'warn'] });
  // Before init(), which puts Nest's body parsers in: uploads reach the Python app as they come.
  app.use('/api', python.middleware());
  await app.init();
  await listen(app.getHttpServer(), python);
}

start();
