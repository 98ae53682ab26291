'use strict';

/**
 * The classes of `@platformatic/python-node` 2.x, for programs that were written for it: change the import, and they run.
 * What differs from PythonHandler: `root_path` is the docroot, a request may be written to, and a WebSocket is a request.
 */

const { PassThrough } = require('node:stream');

const { Headers } = require('./headers');
const { PythonHandler } = require('./python-handler');
const { Request: PlainRequest, kPlainTarget } = require('./request');
const { Response } = require('./response');

const WITHOUT_BODY = new Set(['GET', 'HEAD']);

/** A request that may be written to, before or after it was handed over. */
class Request {
  #init;
  #headers;
  /** What was written. @type {PassThrough | undefined} */
  #written;
  /** @type {import('./in-process-websocket').InProcessWebSocket | undefined} */
  #socket;
  #websocket;
  /** Messages that were written before the WebSocket opened; null is its end. @type {(string | Buffer | null)[]} */
  #early = [];

  /**
   * @param {{method?: string, url: string, headers?: any, body?: Buffer | string, socket?: any, docroot?: string,
   *   websocket?: boolean}} init
   */
  constructor(init) {
    const { websocket = false, docroot, ...rest } = init ?? {};
    this.#init = new PlainRequest(init === undefined || init === null ? init : rest);
    this.#headers = this.#init.headers;
    this.docroot = docroot;
    this.#websocket = websocket === true;
  }

  get method() { return this.#init.method; }
  set method(value) { this.#init.method = value; }
  get url() { return this.#init.url; }
  set url(value) { this.#init.url = value; }
  get headers() { return this.#headers; }
  set headers(value) { this.#headers = value instanceof Headers ? value : new Headers(value); }
  get body() { return this.#init.body ?? Buffer.alloc(0); }
  set body(value) { this.#init.body = value; }
  /** The path without the query. */
  get path() { return this.#init.path; }

  toJSON() {
    return { method: this.method, url: this.url, headers: this.headers.toJSON(), body: Buffer.from(this.body).toString() };
  }

  /**
   * A piece of the body or, of a WebSocket, a message: text for a string, bytes for a Buffer.
   * @param {string | Uint8Array} chunk
   * @returns {Promise<void>} ends once more may be written
   */
  async write(chunk) {
    if (this.#websocket) {
      if (this.#socket) this.#socket.send(chunk);
      else this.#early.push(/** @type {any} */ (chunk));
      return;
    }
    const stream = this.#body();
    if (stream.write(chunk)) return;
    await new Promise((resolve) => {
      stream.once('drain', resolve);
      stream.once('close', resolve);
    });
  }

  /**
   * The end of the body, or of the WebSocket.
   * @param {string | Uint8Array} [chunk] the last piece
   */
  async end(chunk) {
    if (chunk !== undefined) await this.write(chunk);
    if (!this.#websocket) this.#body().end();
    else if (this.#socket) this.#socket.close();
    else this.#early.push(null);
  }

  #body() {
    this.#written ??= new PassThrough();
    return this.#written;
  }

  /**
   * For Python only.
   * @param {string} docroot of the app @param {boolean} streams whether the body may still be written
   */
  describe(docroot, streams) {
    const { method, url, socket, body } = this.#init;
    let source = body ?? this.#written;
    if (source === undefined && streams && !WITHOUT_BODY.has(String(method).toUpperCase())) source = this.#body();
    return {
      method, url, socket, headers: this.headers, body: source, rootPath: this.docroot ?? docroot, [kPlainTarget]: true,
    };
  }

  get isWebSocket() { return this.#websocket; }

  /** @param {import('./in-process-websocket').InProcessWebSocket} socket that has opened */
  open(socket) {
    this.#socket = socket;
    for (const message of this.#early.splice(0)) {
      if (message === null) socket.close();
      else socket.send(message);
    }
  }
}

/** The messages of a WebSocket as a response: each is a Buffer. */
class WebSocketResponse {
  status = 101;
  #socket;
  /** @type {Buffer[]} */
  #messages = [];
  /** @type {{resolve: (message: Buffer | null) => void, reject: (error: Error) => void}[]} */
  #waiting = [];
  #ended = false;
  /** @type {Error | undefined} */
  #error;

  /** @param {import('./in-process-websocket').InProcessWebSocket} socket */
  constructor(socket) {
    this.#socket = socket;
    socket.binaryType = 'nodebuffer';
    socket.addEventListener('message', ({ data }) => {
      const message = Buffer.from(data);
      const waiting = this.#waiting.shift();
      if (waiting) waiting.resolve(message);
      else this.#messages.push(message);
    });
    socket.addEventListener('error', ({ error }) => {
      this.#error = error;
      this.#end();
    });
    socket.addEventListener('close', () => this.#end());
  }

  get headers() { return new Headers(this.#socket.headers); }

  #end() {
    this.#ended = true;
    for (const { resolve, reject } of this.#waiting.splice(0)) {
      if (this.#error) reject(this.#error);
      else resolve(null);
    }
  }

  /** @returns {Promise<Buffer | null>} the payload of the next message; null at the end */
  next() {
    const message = this.#messages.shift();
    if (message) return Promise.resolve(message);
    if (this.#ended) return this.#error ? Promise.reject(this.#error) : Promise.resolve(null);
    return new Promise((resolve, reject) => { this.#waiting.push({ resolve, reject }); });
  }

  async* [Symbol.asyncIterator]() {
    for (let message = await this.next(); message !== null; message = await this.next()) yield message;
  }
}

/** A Python app, as `@platformatic/python-node` has it. */
class Python {
  #handler;

  /** @param {{docroot?: string, appTarget?: string} & Record<string, unknown>} [options] those of PythonHandler, too */
  constructor(options) {
    this.#handler = new PythonHandler(options);
    // Whoever asks hears of it.
    this.#handler.on('error', () => {});
  }

  get docroot() { return this.#handler.docroot; }

  /** @param {Request} request @returns {Promise<Response>} rejects when the app raises before its response */
  async handleRequest(request) {
    return this.#handler.handleRequest(request.describe(this.docroot, false));
  }

  /**
   * @param {Request} request
   * @returns {Promise<import('./response').ResponseStream | WebSocketResponse>} once the response has begun
   */
  async handleStream(request) {
    const init = request.describe(this.docroot, true);
    if (!request.isWebSocket) return this.#handler.handleStream(init);
    const socket = this.#handler.webSocket(init);
    const response = new WebSocketResponse(socket);
    await new Promise((resolve, reject) => {
      socket.addEventListener('open', resolve);
      socket.addEventListener('error', ({ error }) => reject(error));
    });
    request.open(socket);
    return response;
  }

  /** Runs the app's shutdown; the peer has no such thing, and needs none. */
  close() {
    return this.#handler.close();
  }
}

module.exports = { Python, Request, Response, Headers };
