'use strict';

/** The Python app in Fastify, as its plugin. Prints its port. */

const path = require('node:path');

const fastify = require('fastify')();

const plugin = require('../../lib/fastify');

fastify.register(plugin, { docroot: path.join(__dirname, '../drivers'), target: 'site_app:app' });
fastify.listen({ port: 0, host: '127.0.0.1' }).then(() => console.log(fastify.server.address().port));
