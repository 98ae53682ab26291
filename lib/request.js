'use strict';

/** Requests: our own class, and the reading of everything that handleRequest() takes as one. */

const { Readable } = require('node:stream');

const { create } = require('./errors');
const { Headers, flatten } = require('./headers');
const { describe } = require('./options');

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
// eslint-disable-next-line no-control-regex -- what a field must not hold
const BAD_VALUE = /[\0\r\n]|[^\x00-\xff]/;
/** What the target of a request line cannot carry. */
const UNSAFE = /[^\x21-\x7e]/;
/** As they are written in nearly every request. */
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);
const MAX_HEADERS = 2000;
const MAX_HEADER_BYTES = 1 << 20;

const kConnection = Symbol('node-asgi.connection');
/** On a request whose target is not to begin with its root path: of lib/compat.js. */
const kPlainTarget = Symbol('node-asgi.plainTarget');

/** A request to hand to PythonHandler. */
class Request {
  /**
   * @param {{method?: string, url: string, headers?: any, body?: any, socket?: any, rootPath?: string, scope?: object}} init
   */
  constructor(init) {
    checkInit(init);
    this.method = init.method ?? 'GET';
    this.url = init.url;
    this.headers = init.headers instanceof Headers ? init.headers : new Headers(init.headers);
    this.body = init.body ?? null;
    this.socket = init.socket;
    this.rootPath = init.rootPath;
    this.scope = init.scope;
  }

  /** The path without the query. */
  get path() {
    return splitUrl(this.url).target.split('?', 1)[0];
  }

  toJSON() {
    return { method: this.method, url: this.url, headers: this.headers.toJSON() };
  }
}

/** @param {unknown} init */
function checkInit(init) {
  if (init !== null && typeof init === 'object') return;
  throw create('ERR_ASGI_REQUEST', `expected an object with a url, got ${describe(init)}`);
}

/** @param {unknown} url @returns {{target: string, host: string | undefined, scheme: string | undefined}} */
function splitUrl(url) {
  const text = url instanceof URL ? url.href : url;
  if (typeof text !== 'string' || text === '') {
    throw create('ERR_ASGI_REQUEST', `url: expected a path or an absolute URL, got ${describe(url)}`);
  }
  if (text.startsWith('/') || text === '*') return { target: encodeTarget(text), host: undefined, scheme: undefined };
  let parsed;
  try {
    parsed = new URL(text);
  } catch {
    throw create('ERR_ASGI_REQUEST', `url: expected a path that begins with '/' or an absolute URL, got ${describe(url)}`);
  }
  const scheme = parsed.protocol.slice(0, -1);
  return { target: parsed.pathname + parsed.search, host: parsed.host, scheme };
}

/** Percent-encodes what a request line cannot carry; escapes that are there already stay. @param {string} text */
function encodeTarget(text) {
  if (!UNSAFE.test(text)) return text;
  return text.replace(/[^\x21-\x7e]+/g, (run) => encodeURIComponent(run.toWellFormed?.() ?? run));
}

/** The prefix of the text that describes a request: see bridge/exchange.h. */
function headText(method, target, version, connection, rootPath) {
  return `${method}\n${target}\n${version}${connection}${rootPath}`;
}

/** Percent-encodes non-ASCII of a root path, which travels like a URL. @param {string} rootPath */
function encodeRoot(rootPath) {
  return encodeTarget(rootPath.endsWith('/') ? rootPath.replace(/\/+$/, '') : rootPath);
}

/** An IPv4 client of a dual-stack server is named by its IPv4 address. */
const plainAddress = (address) => (address?.startsWith('::ffff:') ? address.slice(7) : address ?? '');

/**
 * `\n scheme \n client host \n client port \n server host \n server port \n`, made once for a connection.
 * @param {any} socket
 * @param {any} [holder] what remembers it: the socket of an HTTP/2 session is a proxy that cannot
 */
function connectionText(socket, holder = socket) {
  if (socket == null) return '\nhttp\n\n\n\n\n';
  const known = holder[kConnection];
  if (known !== undefined) return known;
  const client = plainAddress(socket.remoteAddress);
  let server = plainAddress(socket.localAddress);
  if (server === '') {
    const address = socket.server?.address?.();
    if (typeof address === 'string') server = address; // a unix socket's path
  }
  const text = `\n${socket.encrypted ? 'https' : 'http'}\n${client}\n${client && socket.remotePort || ''}\n` +
    `${server}\n${socket.localAddress && socket.localPort || ''}\n`;
  // An address that is not there yet, or no longer, is not remembered.
  if (client !== '') Object.defineProperty(holder, kConnection, { value: text });
  return text;
}

/**
 * @param {string} target
 * @param {string} rootPath
 * @returns {string} the target, below the root path (checklist S-14, S-15)
 */
function belowRoot(target, rootPath) {
  if (rootPath === '' || !target.startsWith('/')) return target;
  if (target.startsWith(rootPath)) {
    const next = target[rootPath.length];
    if (next === undefined || next === '/' || next === '?') return target;
  }
  return rootPath + target;
}

/**
 * The head of a request that Node's http has parsed.
 * @param {import('node:http').IncomingMessage & {originalUrl?: string, baseUrl?: string}} req
 * @param {string | undefined} rootPathOption
 * @param {Buffer} [body] what parsedBody() has made: the fields then tell of it
 */
function headOfIncoming(req, rootPathOption, body) {
  const rootPath = encodeRoot(rootPathOption ?? req.baseUrl ?? '');
  const target = belowRoot(req.originalUrl ?? req.url ?? '/', rootPath);
  const http2 = req.httpVersionMajor === 2;
  const session = http2 ? req.stream?.session : undefined;
  const connection = http2 ? connectionText(session?.socket, session) : connectionText(req.socket);
  const head = headText(req.method, target, http2 ? '2' : req.httpVersion, connection, rootPath);
  let fields = http2 ? http2Fields(req.rawHeaders) : req.rawHeaders;
  if (body) fields = describing(body, fields);
  return fields.length > 0 ? `${head}\n${fields.join('\n')}` : head;
}

/** Fields that tell how a body was sent, not what it is. */
const FRAMING_FIELDS = new Set(['content-encoding', 'content-length', 'transfer-encoding']);

/** The fields of a request whose body was read, unpacked and made again. @param {Buffer} body @param {string[]} raw */
function describing(body, raw) {
  const fields = [];
  for (let i = 0; i < raw.length; i += 2) {
    if (!FRAMING_FIELDS.has(raw[i].toLowerCase())) fields.push(raw[i], raw[i + 1]);
  }
  fields.push('content-length', String(body.length));
  return fields;
}

/** Without pseudo-headers; `:authority` becomes the host field (checklist S-20). @param {string[]} raw */
function http2Fields(raw) {
  const fields = [];
  let authority;
  for (let i = 0; i < raw.length; i += 2) {
    if (raw[i] === ':authority') authority = raw[i + 1];
    else if (raw[i][0] !== ':' && !(raw[i] === 'host' && authority !== undefined)) fields.push(raw[i], raw[i + 1]);
  }
  if (authority !== undefined) fields.unshift('host', authority);
  return fields;
}

/** Whether a parsed HTTP message announces a body. @param {any} req */
function hasBody(req) {
  if (req.httpVersionMajor === 2) return !req.stream?.endAfterHeaders;
  const length = req.headers['content-length'];
  return req.headers['transfer-encoding'] !== undefined || (length !== undefined && length !== '0');
}

/** Charsets of `text/plain; charset=…` that Node can write. */
const ENCODINGS = new Map([
  ['', 'utf8'], ['utf-8', 'utf8'], ['utf8', 'utf8'], ['us-ascii', 'latin1'], ['iso-8859-1', 'latin1'],
  ['latin1', 'latin1'], ['utf-16le', 'utf16le'],
]);

/**
 * The body that a parser such as express.json() has taken from the request, or undefined when the stream is whole.
 * @param {any} req
 * @returns {Buffer | undefined}
 */
function parsedBody(req) {
  if (req.rawBody !== undefined && req.rawBody !== null) return Buffer.from(req.rawBody);
  if (!req.readableDidRead && !req.readableEnded) return undefined;
  const { body } = req;
  const field = String(req.headers['content-type'] ?? '');
  const type = field.split(';', 1)[0].trim().toLowerCase();
  if (Buffer.isBuffer(body)) return body;
  if (typeof body === 'string') {
    const charset = /;\s*charset\s*=\s*"?([^\s;"]+)/i.exec(field)?.[1] ?? '';
    const encoding = ENCODINGS.get(charset.toLowerCase());
    if (encoding) return Buffer.from(body, encoding);
  } else if (body !== undefined && body !== null && (type === 'application/json' || type.endsWith('+json'))) {
    return Buffer.from(JSON.stringify(body));
  } else if (type === 'application/x-www-form-urlencoded' && isFlatForm(body)) {
    const fields = new URLSearchParams();
    for (const [name, value] of Object.entries(body)) {
      for (const one of [value].flat()) fields.append(name, one);
    }
    return Buffer.from(fields.toString());
  }
  throw create('ERR_ASGI_BODY_CONSUMED',
    `the request body was already read${type ? ` (content-type ${field})` : ''}: put the Python app before the body ` +
    'parser, or let the parser keep the bytes in req.rawBody');
}

/** Whether names and values are all there is; the names of a nested form could not be told. @param {any} form */
function isFlatForm(form) {
  if (form === null || typeof form !== 'object') return false;
  return Object.values(form).flat().every((value) => typeof value === 'string');
}

/** Names that were found to be tokens: most requests have the same. */
const knownNames = new Set();
const MAX_KNOWN_NAMES = 256;

/** @param {string} name */
function checkName(name) {
  if (knownNames.has(name)) return;
  if (!TOKEN.test(name)) {
    throw create('ERR_ASGI_REQUEST', `headers: expected a name of token characters, got ${describe(name)}`);
  }
  if (knownNames.size < MAX_KNOWN_NAMES && name.length <= 64) knownNames.add(name);
}

/** @param {string[]} flat @returns {string} validated fields, each with a separator before it */
function fieldsText(flat) {
  if (flat.length > MAX_HEADERS * 2) {
    throw create('ERR_ASGI_REQUEST', `headers: expected at most ${MAX_HEADERS} fields, got ${flat.length / 2}`);
  }
  let text = '';
  for (let i = 0; i < flat.length; i += 2) {
    checkName(flat[i]);
    if (BAD_VALUE.test(flat[i + 1])) {
      throw create('ERR_ASGI_REQUEST',
        `headers: expected latin-1 without CR, LF or NUL as the value of ${flat[i]}, got ${describe(flat[i + 1])}`);
    }
    text += `\n${flat[i]}\n${flat[i + 1]}`;
  }
  if (text.length > MAX_HEADER_BYTES) {
    throw create('ERR_ASGI_REQUEST', `headers: expected at most ${MAX_HEADER_BYTES} bytes, got ${text.length}`);
  }
  return text;
}

/** @param {string[]} flat @param {string} name in lower case */
function hasField(flat, name) {
  for (let i = 0; i < flat.length; i += 2) {
    if (flat[i].length === name.length && flat[i].toLowerCase() === name) return true;
  }
  return false;
}

/** @param {unknown} given @returns {string} in upper case */
function readMethod(given) {
  if (METHODS.has(given)) return given;
  const method = String(given).toUpperCase();
  if (!TOKEN.test(method)) throw create('ERR_ASGI_REQUEST', `method: expected a token, got ${describe(given)}`);
  return method;
}

/** @param {any} body @returns {Uint8Array | AsyncIterable<any> | undefined} */
function readBody(body) {
  if (body === null || body === undefined) return undefined;
  if (typeof body === 'string') return Buffer.from(body);
  if (body instanceof Uint8Array) return body;
  if (ArrayBuffer.isView(body)) return new Uint8Array(body.buffer, body.byteOffset, body.byteLength);
  if (Object.prototype.toString.call(body) === '[object ArrayBuffer]') return new Uint8Array(body);
  if (typeof body[Symbol.asyncIterator] === 'function') return body;
  if (typeof body.getReader === 'function') return Readable.fromWeb(body);
  throw create('ERR_ASGI_REQUEST',
    'body: expected a string, a Buffer or typed array, a readable stream or an async iterable, got ' + describe(body));
}

/**
 * @typedef {object} ReadRequest
 * @property {string} head
 * @property {Uint8Array} [body] the whole body
 * @property {AsyncIterable<any>} [source] where the body comes from, instead of `body`
 * @property {object} [scope]
 */

/**
 * Reads whatever handleRequest() accepts.
 * @param {any} request
 * @param {string | undefined} rootPathOption
 * @returns {ReadRequest}
 */
function readRequest(request, rootPathOption) {
  if (request !== null && typeof request === 'object' && Array.isArray(request.rawHeaders)) {
    if (!hasBody(request)) return { head: headOfIncoming(request, rootPathOption) };
    const body = parsedBody(request);
    const head = headOfIncoming(request, rootPathOption, body);
    return body ? { head, body } : { head, source: request };
  }
  checkInit(request);
  const { url, scope, socket } = request;
  const method = readMethod(request.method ?? 'GET');
  const { target, host, scheme } = splitUrl(url);
  const rootPath = encodeRoot(request.rootPath ?? rootPathOption ?? '');
  let connection = connectionText(socket);
  if (scheme === 'https') connection = connection.replace('\nhttp\n', '\nhttps\n');
  const path = request[kPlainTarget] === true ? target : belowRoot(target, rootPath);
  let head = headText(method, path, '1.1', connection, rootPath);
  const fields = request.headers instanceof Headers ? request.headers.toFlat() : flatten(request.headers);
  if (host !== undefined && !hasField(fields, 'host')) head += `\nhost\n${host}`;
  head += fieldsText(fields);
  const body = readBody(request.body);
  if (body === undefined) return { head, body, source: undefined, scope };
  if (!(body instanceof Uint8Array)) return { head, body: undefined, source: body, scope };
  const announced = hasField(fields, 'content-length') || hasField(fields, 'transfer-encoding');
  if (!announced) head += `\ncontent-length\n${body.length}`;
  return { head, body, source: undefined, scope };
}

module.exports = { Request, kPlainTarget, readRequest, headOfIncoming, hasBody, parsedBody };
