'use strict';

/**
 * Values on their way to and from Python functions: frames as lib/python/node_asgi/calls.py describes them.
 */

const { create } = require('./errors');
const { describe } = require('./options');

const HEAD_BYTES = 8;
const MAX_DEPTH = 200;

/** @param {string} where @param {unknown} value */
function unfit(where, value) {
  const what = typeof value === 'object' && value !== null ? value.constructor?.name ?? 'an object' : describe(value);
  return create('ERR_ASGI_REQUEST',
    `call(): expected null, a boolean, a finite number, a string, bytes, an array or a plain object as ${where}, got ${what}`);
}

/**
 * @param {any} value @param {Buffer[]} blobs @param {string} where @param {number} depth
 * @returns {any} what JSON.stringify() writes as calls.py reads it
 */
function plain(value, blobs, where, depth) {
  if (value === null || value === undefined) return null;
  if (typeof value === 'string' || typeof value === 'boolean') return value;
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  if (typeof value !== 'object') throw unfit(where, value);
  if (depth > MAX_DEPTH) throw create('ERR_ASGI_REQUEST', `call(): ${where} is nested more than ${MAX_DEPTH} deep, or in itself`);
  const bytes = toBytes(value);
  if (bytes) {
    const offset = blobs.reduce((sum, blob) => sum + blob.length, 0);
    blobs.push(bytes);
    return { $bytes: [offset, bytes.length] };
  }
  if (Array.isArray(value)) return value.map((item, i) => plain(item, blobs, `${where}[${i}]`, depth + 1));
  if (typeof value.toJSON === 'function') return plain(value.toJSON(), blobs, where, depth + 1);
  const proto = Object.getPrototypeOf(value);
  if (proto !== null && Object.getPrototypeOf(proto) !== null) throw unfit(where, value);
  return Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined).map(([key, item]) =>
    [key.startsWith('$') ? `$${key}` : key, plain(item, blobs, `${where}.${key}`, depth + 1)]));
}

/** @param {any} value @returns {Buffer | undefined} */
function toBytes(value) {
  if (ArrayBuffer.isView(value)) return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  const tag = Object.prototype.toString.call(value);
  return tag === '[object ArrayBuffer]' || tag === '[object SharedArrayBuffer]' ? Buffer.from(value) : undefined;
}

/** @param {string} target @param {unknown[]} values the arguments @returns {Buffer} a frame */
function encodeCall(target, values) {
  /** @type {Buffer[]} */
  const blobs = [];
  const json = Buffer.from(JSON.stringify([target, values.map((value, i) => plain(value, blobs, `argument ${i + 1}`, 0))]));
  const head = Buffer.alloc(HEAD_BYTES);
  const rest = blobs.reduce((sum, blob) => sum + blob.length, 0);
  head.writeUInt32BE(4 + json.length + rest, 0);
  head.writeUInt32BE(json.length, 4);
  return Buffer.concat([head, json, ...blobs]);
}

/** @param {Buffer} frame @returns {any} */
function decodeFrame(frame) {
  const end = HEAD_BYTES + frame.readUInt32BE(4);
  return JSON.parse(frame.toString('utf8', HEAD_BYTES, end), (_key, value) => {
    if (value === null || typeof value !== 'object' || Array.isArray(value)) return value;
    if (Object.hasOwn(value, '$bytes')) {
      const [offset, length] = value.$bytes;
      return Buffer.from(frame.subarray(end + offset, end + offset + length));
    }
    if (!Object.keys(value).some((key) => key.startsWith('$'))) return value;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key.startsWith('$') ? key.slice(1) : key, item]));
  });
}

/**
 * The items of a generator, as they come.
 * @param {AsyncIterable<Buffer>} stream
 */
async function* decodeItems(stream) {
  let rest = Buffer.alloc(0);
  for await (const chunk of stream) {
    rest = rest.length > 0 ? Buffer.concat([rest, chunk]) : chunk;
    while (rest.length >= HEAD_BYTES && rest.length >= 4 + rest.readUInt32BE(0)) {
      const size = 4 + rest.readUInt32BE(0);
      yield decodeFrame(rest.subarray(0, size));
      rest = rest.subarray(size);
    }
  }
}

/**
 * What a call answers.
 * @param {import('./response').ResponseStream} stream
 * @returns {Promise<any>} a value, or an async iterable for a generator
 */
async function readAnswer(stream) {
  if (stream.headers.get('kind') === 'stream') return decodeItems(stream);
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return decodeFrame(Buffer.concat(chunks));
}

module.exports = { encodeCall, readAnswer };
