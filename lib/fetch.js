'use strict';

/** The WHATWG face: a Request in, a Response with a streaming body out. */

const { Readable } = require('node:stream');

/** Statuses whose Response may not have a body (WHATWG fetch, "null body status"). */
const NULL_BODY = new Set([101, 103, 204, 205, 304]);

/**
 * @param {import('./python-handler').PythonHandler} handler
 * @param {string | URL | globalThis.Request} input a path is taken as one of http://localhost
 * @param {globalThis.RequestInit} [init]
 * @returns {Promise<globalThis.Response>}
 */
async function fetchFrom(handler, input, init) {
  const url = typeof input === 'string' && input.startsWith('/') ? `http://localhost${input}` : input;
  // A stream as body needs `duplex`, which says no more than that it is one.
  const request = new globalThis.Request(url, init?.body ? { duplex: 'half', ...init } : init);
  const { signal } = request;
  const response = await handler.handleStream(request, { signal });
  const headers = new globalThis.Headers([...response.headers]);
  if (!NULL_BODY.has(response.status) && request.method !== 'HEAD') {
    return new globalThis.Response(Readable.toWeb(response), { status: response.status, headers });
  }
  response.resume();
  return new globalThis.Response(null, { status: response.status, headers });
}

module.exports = { fetchFrom };
