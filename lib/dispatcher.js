'use strict';

/**
 * The face of undici: a Dispatcher whose requests are answered by the app, without a socket. It speaks to both
 * generations of undici's handlers, that of Node 20's own fetch() and that of undici 7, and needs neither.
 */

const { randomUUID } = require('node:crypto');
const { EventEmitter } = require('node:events');
const querystring = require('node:querystring');
const { STATUS_CODES } = require('node:http');

const { create } = require('./errors');

/** Fields that belong to a connection, of which there is none here. */
const CONNECTION_FIELDS = new Set([
  'connection', 'expect', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade',
]);
/** Methods whose request is said to have a body even when that is empty (RFC 9110 section 8.6). */
const METHODS_WITH_BODY = new Set(['PATCH', 'POST', 'PUT', 'QUERY']);

/**
 * What undici calls a Dispatcher: `fetch(url, { dispatcher })` and `undici.request(url, { dispatcher })` reach the
 * Python app. It has no connections, so it emits none of a Dispatcher's events about them, and always takes more.
 */
class PythonDispatcher extends EventEmitter {
  #handler;
  /** @type {Set<Exchange>} */
  #exchanges = new Set();
  /** @type {Error | undefined} why nothing more is taken */
  #refusal;
  /** @type {(() => void)[]} */
  #whenIdle = [];

  /** @param {import('./python-handler').PythonHandler} handler stays open when the dispatcher is closed */
  constructor(handler) {
    super();
    this.#handler = handler;
  }

  get closed() {
    return this.#refusal !== undefined;
  }

  get destroyed() {
    return this.#refusal !== undefined && this.#exchanges.size === 0;
  }

  /**
   * @param {Record<string, any>} options undici's DispatchOptions
   * @param {Record<string, any>} handler undici's DispatchHandler, of either generation
   * @returns {boolean} whether more may be dispatched at once
   */
  dispatch(options, handler) {
    if (handler === null || typeof handler !== 'object') {
      throw create('ERR_ASGI_REQUEST', 'dispatch(): expected a handler object as the second argument');
    }
    const exchange = new Exchange(handler, () => {
      this.#exchanges.delete(exchange);
      if (this.#exchanges.size === 0) for (const idle of this.#whenIdle.splice(0)) idle();
    });
    if (this.#refusal) {
      exchange.fail(this.#refusal);
      return false;
    }
    this.#exchanges.add(exchange);
    exchange.run(this.#handler, options);
    return true;
  }

  /**
   * Takes no more requests and waits for those under way.
   * @param {(error: null, nothing: null) => void} [callback] instead of the promise
   * @returns {Promise<void> | undefined}
   */
  close(callback) {
    this.#refusal ??= create('ERR_ASGI_CLOSED', 'the dispatcher is closed');
    return settle(this.#idle(), callback);
  }

  /**
   * Takes no more requests and ends those under way with an error.
   * @param {Error | null | ((error: null, nothing: null) => void)} [error]
   * @param {(error: null, nothing: null) => void} [callback] instead of the promise
   * @returns {Promise<void> | undefined}
   */
  destroy(error, callback) {
    if (typeof error === 'function') return this.destroy(null, error);
    this.#refusal ??= create('ERR_ASGI_CLOSED', 'the dispatcher is closed');
    for (const exchange of [...this.#exchanges]) exchange.abort(error ?? this.#refusal);
    return settle(this.#idle(), callback);
  }

  /** @returns {Promise<void>} */
  #idle() {
    if (this.#exchanges.size === 0) return Promise.resolve();
    return new Promise((resolve) => { this.#whenIdle.push(resolve); });
  }

  [Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose')]() {
    return this.close();
  }
}

/** @param {Promise<void>} promise @param {((error: null, nothing: null) => void) | undefined} callback */
function settle(promise, callback) {
  if (callback === undefined) return promise;
  promise.then(() => callback(null, null));
  return undefined;
}

/** One request of a dispatcher and its response. */
class Exchange {
  #listener;
  #onOver;
  #abort = new AbortController();
  #over = false;
  #paused = false;
  /** @type {import('./response').ResponseStream | undefined} */
  #response;
  #body;

  /** @param {Record<string, any>} handler @param {() => void} onOver */
  constructor(handler, onOver) {
    const makeListener = typeof handler.onRequestStart === 'function' ? controllerListener : legacyListener;
    this.#listener = makeListener(handler, this);
    this.#onOver = onOver;
  }

  /** @param {import('./python-handler').PythonHandler} python @param {Record<string, any>} options */
  run(python, options) {
    let request;
    try {
      request = readOptions(options, this.#listener);
      this.#body = options.body;
      this.#listener.start();
    } catch (error) {
      this.abort(error);
    }
    // Aborted by its own start: undici does so when its signal was aborted before.
    if (this.#over) return;
    python.handleStream(request, { signal: this.#abort.signal })
      .then((response) => this.#pass(response, request.method === 'HEAD'))
      .catch((error) => this.fail(error));
    if (request.body instanceof Uint8Array) {
      this.#call(() => {
        this.#listener.sent(request.body);
        this.#listener.allSent();
      });
    }
  }

  /** @param {import('./response').ResponseStream} response @param {boolean} bodiless */
  #pass(response, bodiless) {
    if (this.#over) {
      response.destroy();
      return;
    }
    this.#response = response;
    // What comes after a 204 or 304 is no body; over a socket it would not leave (checklist H-31, H-32).
    const dropped = bodiless || response.status === 204 || response.status === 304;
    response.on('error', (error) => this.fail(error));
    this.#call(() => this.#listener.head(response.status, response.headers.toFlat()));
    if (this.#paused) response.pause();
    response.on('data', (chunk) => {
      if (!dropped) this.#call(() => this.#listener.data(chunk));
    });
    response.on('end', () => {
      if (this.#over) return;
      this.#finish();
      try {
        this.#listener.end(response.trailers.toFlat());
      } catch (error) {
        this.#listener.error(error);
      }
    });
  }

  /** What a handler throws ends its own request, and nothing else. @param {() => void} callback */
  #call(callback) {
    if (this.#over) return;
    try {
      callback();
    } catch (error) {
      this.abort(error);
    }
  }

  pause() {
    this.#paused = true;
    this.#response?.pause();
  }

  resume() {
    this.#paused = false;
    this.#response?.resume();
  }

  /** The caller has given up: the app hears of it. @param {any} [reason] */
  abort(reason) {
    if (this.#over) return;
    const error = reason ?? new DOMException('This operation was aborted', 'AbortError');
    this.fail(error);
    this.#abort.abort(error);
  }

  /** @param {any} error */
  fail(error) {
    if (this.#over) return;
    this.#finish(error);
    this.#listener.error(error);
  }

  #finish(error) {
    this.#over = true;
    this.#onOver();
    // Nobody reads the rest of a request that has been answered.
    const body = this.#body;
    if (typeof body?.pipe === 'function' && !body.readableEnded) body.destroy?.(error);
  }
}

/**
 * What both generations are told, in one shape.
 * @typedef {object} Listener
 * @property {() => void} start
 * @property {(status: number, flat: string[]) => void} head
 * @property {(chunk: Buffer) => void} data
 * @property {(trailers: string[]) => void} end
 * @property {(error: any) => void} error
 * @property {(chunk: Uint8Array) => void} sent a piece of the request body has been
 * @property {() => void} allSent
 */

/** The handlers of undici 6 and of Node 20. @param {any} handler @param {Exchange} exchange @returns {Listener} */
function legacyListener(handler, exchange) {
  return {
    start: () => handler.onConnect?.((reason) => exchange.abort(reason), null),
    head(status, flat) {
      handler.onResponseStarted?.();
      const goOn = handler.onHeaders(status, rawFields(flat), () => exchange.resume(), STATUS_CODES[status] ?? '');
      if (goOn === false) exchange.pause();
    },
    data(chunk) {
      if (handler.onData(chunk) === false) exchange.pause();
    },
    end: (trailers) => handler.onComplete(rawFields(trailers)),
    error: (error) => handler.onError(error),
    sent: (chunk) => handler.onBodySent?.(chunk),
    allSent: () => handler.onRequestSent?.(),
  };
}

/**
 * The handlers of undici 7, which get a controller.
 * @param {any} handler @param {Exchange} exchange @returns {Listener}
 */
function controllerListener(handler, exchange) {
  const controller = {
    paused: false,
    aborted: false,
    reason: null,
    rawHeaders: null,
    rawTrailers: null,
    pause() {
      controller.paused = true;
      exchange.pause();
    },
    resume() {
      controller.paused = false;
      exchange.resume();
    },
    abort(reason) {
      if (controller.aborted) return;
      controller.aborted = true;
      controller.reason = reason;
      exchange.abort(reason);
    },
  };
  return {
    start: () => handler.onRequestStart(controller, null),
    head(status, flat) {
      handler.onResponseStarted?.();
      controller.rawHeaders = rawFields(flat);
      handler.onResponseStart?.(controller, status, fieldsObject(flat), STATUS_CODES[status] ?? '');
    },
    data: (chunk) => handler.onResponseData?.(controller, chunk),
    end(trailers) {
      controller.rawTrailers = rawFields(trailers);
      handler.onResponseEnd?.(controller, fieldsObject(trailers));
    },
    error: (error) => handler.onResponseError?.(controller, error),
    sent: (chunk) => handler.onBodySent?.(chunk),
    allSent: () => handler.onRequestSent?.(),
  };
}

/** @param {string[]} flat @returns {Buffer[]} */
const rawFields = (flat) => flat.map((text) => Buffer.from(text, 'latin1'));

/**
 * By lower-cased name, repeated fields as arrays.
 * @param {string[]} flat @returns {Record<string, string | string[]>}
 */
function fieldsObject(flat) {
  /** @type {Record<string, string | string[]>} */
  const fields = Object.create(null);
  for (let i = 0; i < flat.length; i += 2) {
    const name = flat[i].toLowerCase();
    const before = fields[name];
    if (before === undefined) fields[name] = flat[i + 1];
    else if (Array.isArray(before)) before.push(flat[i + 1]);
    else fields[name] = [before, flat[i + 1]];
  }
  return fields;
}

/**
 * The request that handleStream() takes, from what undici dispatches.
 * @param {Record<string, any>} options @param {Listener} listener
 */
function readOptions(options, listener) {
  const { origin, method = 'GET', path, query, upgrade } = options;
  if (upgrade || method === 'CONNECT') {
    throw create('ERR_ASGI_REQUEST', 'a dispatcher that has no sockets cannot upgrade or connect');
  }
  const headers = readFields(options.headers);
  const { body, type, length } = readBody(options.body);
  const has = (name) => headers.some(([field]) => field.toLowerCase() === name);
  const { host, protocol } = new URL(origin ?? 'http://localhost');
  if (!has('host')) headers.unshift(['host', host]);
  if (type && !has('content-type')) headers.push(['content-type', type]);
  if (!has('content-length')) {
    if (length !== undefined) headers.push(['content-length', String(length)]);
    else if (body !== undefined) headers.push(['transfer-encoding', 'chunked']);
    else if (METHODS_WITH_BODY.has(method)) headers.push(['content-length', '0']);
  }
  return {
    method,
    url: query ? `${path}${path.includes('?') ? '&' : '?'}${querystring.stringify(query)}` : path,
    headers,
    body: body === undefined || body instanceof Uint8Array ? body : told(body, listener),
    // No address, so that the scope names neither a client nor a server; but the scheme.
    socket: { encrypted: protocol === 'https:' },
  };
}

/** @param {any} headers flat array, pairs or an object @returns {[string, string][]} */
function readFields(headers) {
  if (!headers) return [];
  let pairs;
  if (Array.isArray(headers) && !Array.isArray(headers[0])) {
    pairs = [];
    for (let i = 0; i < headers.length; i += 2) pairs.push([headers[i], headers[i + 1]]);
  } else {
    pairs = typeof headers[Symbol.iterator] === 'function' ? headers : Object.entries(headers);
  }
  const fields = [];
  for (const [name, value] of pairs) {
    if (value === undefined || CONNECTION_FIELDS.has(String(name).toLowerCase())) continue;
    for (const one of Array.isArray(value) ? value : [value]) fields.push([String(name), String(one ?? '')]);
  }
  return fields;
}

/**
 * @param {any} body whatever undici takes as one
 * @returns {{body?: Uint8Array | Iterable<any> | AsyncIterable<any>, type?: string, length?: number}}
 */
function readBody(body) {
  if (body === null || body === undefined) return {};
  if (typeof body === 'string') return readBytes(Buffer.from(body));
  if (ArrayBuffer.isView(body)) return readBytes(new Uint8Array(body.buffer, body.byteOffset, body.byteLength));
  // By its tag: undici's own FormData and the classes of another realm are no instances of the global ones.
  switch (Object.prototype.toString.call(body)) {
    case '[object ArrayBuffer]':
      return readBytes(new Uint8Array(body));
    case '[object FormData]':
      return readBody(multipart(body));
    case '[object Blob]':
    case '[object File]':
      return { body: body.stream(), type: body.type, length: body.size };
    default:
  }
  if (body[Symbol.asyncIterator] || body[Symbol.iterator]) return { body };
  throw create('ERR_ASGI_REQUEST',
    'body: expected a string, bytes, a Blob, FormData, a readable stream or an iterable of chunks');
}

/** @param {Uint8Array} bytes */
function readBytes(bytes) {
  return bytes.length > 0 ? { body: bytes, length: bytes.length } : {};
}

/** Passes the pieces of a body on and tells undici's handler of each. @param {any} body @param {Listener} listener */
async function* told(body, listener) {
  for await (const chunk of body) {
    yield chunk;
    listener.sent(chunk);
  }
  listener.allSent();
}

/** RFC 7578, as browsers write it; a Blob knows its size without having been read. @param {FormData} form */
function multipart(form) {
  const boundary = `node-asgi-${randomUUID()}`;
  const escaped = (text) => text.replace(/\r\n?|\n/g, '%0D%0A').replace(/"/g, '%22');
  const parts = [];
  for (const [name, value] of form) {
    const head = `--${boundary}\r\nContent-Disposition: form-data; name="${escaped(name)}"`;
    if (typeof value === 'string') {
      parts.push(`${head}\r\n\r\n${value.replace(/\r\n?|\n/g, '\r\n')}\r\n`);
    } else {
      const type = value.type || 'application/octet-stream';
      parts.push(`${head}; filename="${escaped(value.name)}"\r\nContent-Type: ${type}\r\n\r\n`, value, '\r\n');
    }
  }
  parts.push(`--${boundary}--\r\n`);
  return new Blob(parts, { type: `multipart/form-data; boundary=${boundary}` });
}

module.exports = { PythonDispatcher };
