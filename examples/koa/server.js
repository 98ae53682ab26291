'use strict';

const http = require('node:http');
const { finished } = require('node:stream/promises');

const Koa = require('koa');
const { PythonHandler } = require('node-asgi');

const { listen } = require('../listen');

const python = new PythonHandler({ docroot: __dirname, target: 'main:app', rootPath: '/api' });
const serve = python.listener();

const app = new Koa();
app.use(async (ctx, next) => {
  if (!ctx.path.startsWith('/api/')) return next();
  // The Python app writes the answer itself; middleware around this one goes on when it is done.
  ctx.respond = false;
  serve(ctx.req, ctx.res);
  return finished(ctx.res).catch(() => {});
});
app.use((ctx) => {
  ctx.body = { answeredBy: 'Koa', node: process.version };
});

listen(http.createServer(app.callback()), python);
