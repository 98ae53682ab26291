'use strict';

/** Puts the head of a response on a Node response, whatever middleware has set on it before. */

const { STATUS_CODES } = require('node:http');

/** Fields that HTTP/2 forbids (RFC 9113 section 8.2.2). */
const CONNECTION_FIELDS = new Set(['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade']);

/**
 * Fields that were set before stay; those of the app take the place of the ones with their name, but cookies are added.
 * @param {any} res of node:http or node:http2
 * @param {number} status
 * @param {string[]} flat names and values in turn
 */
function writeHead(res, status, flat) {
  if (res.stream) {
    const fields = forHttp2(flat);
    // writeHead() would put the app's cookies in the place of those that are there.
    const before = res.getHeader?.('set-cookie');
    if (before !== undefined && fields['set-cookie'] !== undefined) {
      fields['set-cookie'] = [before, fields['set-cookie']].flat();
    }
    res.writeHead(status, fields);
    return;
  }
  if (!Object.hasOwn(res, 'writeHead') && res.getHeaderNames().length === 0) {
    // Without a phrase Node would call what it does not know 'unknown'.
    if (STATUS_CODES[status] === undefined) res.writeHead(status, '', flat);
    else res.writeHead(status, flat);
    return;
  }
  // Beside fields that are set, or below middleware that wraps writeHead(), only the last of repeated fields would stay.
  const replaced = new Set();
  for (let i = 0; i < flat.length; i += 2) {
    const name = flat[i].toLowerCase();
    if (name === 'set-cookie' || replaced.has(name)) {
      res.appendHeader(flat[i], flat[i + 1]);
    } else {
      replaced.add(name);
      res.setHeader(flat[i], flat[i + 1]);
    }
  }
  res.writeHead(status);
}

/** @param {string[]} flat @returns {Record<string, string | string[]>} what node:http2 takes */
function forHttp2(flat) {
  /** @type {Record<string, string | string[]>} */
  const headers = {};
  for (let i = 0; i < flat.length; i += 2) {
    const name = flat[i].toLowerCase();
    if (CONNECTION_FIELDS.has(name)) continue;
    const before = headers[name];
    if (before === undefined) headers[name] = flat[i + 1];
    else if (Array.isArray(before)) before.push(flat[i + 1]);
    else headers[name] = [before, flat[i + 1]];
  }
  return headers;
}

module.exports = { writeHead, forHttp2 };
