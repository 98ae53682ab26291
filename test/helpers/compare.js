'use strict';

const { createHash } = require('node:crypto');
const { gunzipSync } = require('node:zlib');

/** Headers that belong to one connection, or that a server makes by itself. Everything else has to be equal. */
const GENERATED_HEADERS = ['date', 'server', 'connection', 'keep-alive', 'transfer-encoding'];

const LARGEST_SHOWN_BODY = 64 * 1024;

/**
 * What two servers must agree on: the status, the headers as a multiset with the order of equal names kept
 * (so two Set-Cookie headers stay in order), and the body without its framing. A gzip body is compared unpacked,
 * because its header holds the time of packing.
 *
 * @param {import('./raw-http').RawResponse} response
 */
function comparable(response) {
  const headers = response.headers
    .map(([name, value]) => [name.toLowerCase(), value])
    .filter(([name]) => !GENERATED_HEADERS.includes(name))
    .sort(([a], [b]) => (a < b ? -1 : Number(a > b)));
  const isGzip = response.body.length > 0
    && headers.some(([name, value]) => name === 'content-encoding' && value === 'gzip');
  const body = isGzip ? gunzipSync(response.body) : response.body;
  return {
    status: response.status,
    headers: headers.map(([name, value]) => `${name}: ${value}`),
    body: body.length <= LARGEST_SHOWN_BODY
      ? body.toString('latin1')
      : `${body.length} bytes, sha256 ${createHash('sha256').update(body).digest('hex')}`,
  };
}

/**
 * Fails unless both answers are equal.
 *
 * @param {import('./raw-http').RawResponse} ours
 * @param {import('./raw-http').RawResponse} theirs the reference
 */
function expectSameAnswer(ours, theirs) {
  expect(comparable(ours)).toEqual(comparable(theirs));
}

module.exports = { comparable, expectSameAnswer, GENERATED_HEADERS };
