'use strict';

const path = require('node:path');

const { PythonHandler } = require('../..');
const { fetchRaw } = require('./raw-http');
const { serveHttp } = require('./servers');

const CORE = path.resolve(__dirname, '../../fixtures/core');

const later = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

const jsonOf = (response) => JSON.parse(response.body.toString());

/** Repeats a question until its answer is truthy. @param {() => any} question @returns {Promise<any>} the answer */
async function eventually(question, { timeout = 5_000, every = 10 } = {}) {
  const deadline = Date.now() + timeout;
  for (;;) {
    const answer = await question();
    if (answer) return answer;
    if (Date.now() > deadline) throw new Error(`still ${JSON.stringify(answer)} after ${timeout} ms: ${question}`);
    await later(every);
  }
}

/**
 * Opens apps of fixtures/core, with what they report, and closes all of them and their servers after the tests.
 * To be called once in a test file.
 */
function coreApps() {
  const handlers = [];
  const servers = [];

  afterAll(async () => {
    for (const server of servers) await server.close();
    await Promise.all(handlers.map((handler) => handler.close()));
  });

  /** @param {string} target the name of a module means its `app` */
  function open(target, options = {}) {
    const handler = new PythonHandler({ docroot: CORE, target: target.includes(':') ? target : `${target}:app`, ...options });
    const errors = [];
    const warnings = [];
    handler.on('error', (error) => errors.push(error));
    handler.on('warning', (warning) => warnings.push(warning));
    handlers.push(handler);
    return { handler, errors, warnings };
  }

  /** The same behind a node:http server. */
  async function serve(target, options) {
    const opened = open(target, options);
    await opened.handler.ready();
    const server = await serveHttp(opened.handler);
    servers.push(server);
    const fetch = (request, more) => fetchRaw(server.port, typeof request === 'string' ? { target: request } : request, more);
    const fetchJson = async (request) => jsonOf(await fetch(request));
    return { ...opened, ...server, fetch, fetchJson };
  }

  /** @param {{ close(): Promise<void> }} server closed after the tests */
  const closeLater = (server) => { servers.push(server); return server; };

  return { open, serve, closeLater };
}

module.exports = { CORE, coreApps, eventually, jsonOf, later };
