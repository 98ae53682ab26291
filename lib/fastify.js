'use strict';

/**
 * A Fastify plugin that hands everything below its prefix to a Python app, WebSockets included:
 * `fastify.register(require('node-asgi/fastify'), { prefix: '/api', target: 'main:app' })`.
 */

const { PythonHandler } = require('./python-handler');

const METHODS = ['DELETE', 'GET', 'HEAD', 'OPTIONS', 'PATCH', 'POST', 'PUT'];

/**
 * @param {import('fastify').FastifyInstance} fastify
 * @param {Record<string, any>} options those of PythonHandler, and Fastify's `prefix`; or `handler`, a PythonHandler
 *   that somebody else closes
 */
async function plugin(fastify, options) {
  const given = options.handler;
  const own = { rootPath: fastify.prefix, ...options };
  for (const name of ['handler', 'prefix', 'logLevel', 'logSerializers']) delete own[name];
  const handler = given ?? new PythonHandler(own);
  const serve = handler.listener();
  handler.attach(fastify.server, { path: fastify.prefix });

  if (!given) fastify.addHook('onClose', () => handler.close());
  fastify.addHook('onReady', () => handler.ready().then(() => {}));

  // The body goes to the app as it comes in: no parser of this scope may read it. Other scopes keep theirs.
  fastify.removeAllContentTypeParsers();
  fastify.addContentTypeParser('*', (_request, _payload, done) => done(null));

  const route = {
    method: METHODS.filter((method) => fastify.supportedMethods.includes(method)),
    // The app answers HEAD itself.
    exposeHeadRoute: false,
    handler(request, reply) {
      reply.hijack();
      // What hooks have set so far leaves with the app's own fields.
      for (const [name, value] of Object.entries(reply.getHeaders())) reply.raw.setHeader(name, value);
      serve(request.raw, reply.raw);
    },
  };
  fastify.route({ ...route, url: '/' });
  fastify.route({ ...route, url: '/*' });
}

module.exports = plugin;
module.exports.default = plugin;
