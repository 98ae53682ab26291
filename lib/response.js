'use strict';

/** Responses: whole ones, and those that arrive as a stream. */

const { Duplex } = require('node:stream');

const { ResponseCredit, RequestWindow, sizeOf, toBuffer } = require('./flow');
const { Headers } = require('./headers');
const hub = require('./hub');
const { writeHead } = require('./write-head');

/** @param {string} text name \n value \n name \n value … @returns {string[]} */
const flatHeaders = (text) => (text === '' ? [] : text.split('\n'));

/** A whole response. */
class Response {
  #headers;
  #body;

  /**
   * @param {{status?: number, headers?: any, body?: Buffer | string, log?: string, exception?: Error | string}} [init]
   */
  constructor(init = {}) {
    this.status = init.status ?? 200;
    this.#headers = init.headers instanceof Headers ? init.headers : new Headers(init.headers);
    this.#body = typeof init.body === 'string' ? Buffer.from(init.body) : init.body;
    /** Fields after the body. */
    this.trailers = new Headers();
    /** What the app told a test (option `testing`). @type {object | undefined} */
    this.debug = undefined;
    this.log = init.log;
    this.exception = init.exception;
  }

  /**
   * Made from what the addon hands over, whose parts are read only when they are asked for.
   * @param {number} status @param {string} headers @param {Buffer | string | undefined} body
   */
  static fromNative(status, headers, body) {
    const response = new Response();
    response.status = status;
    response.#headers = headers;
    response.#body = body;
    return response;
  }

  get headers() {
    if (typeof this.#headers === 'string') this.#headers = Headers.fromFlat(flatHeaders(this.#headers));
    return this.#headers;
  }

  set headers(value) {
    this.#headers = value instanceof Headers ? value : new Headers(value);
  }

  /** @returns {Buffer} */
  get body() {
    if (!Buffer.isBuffer(this.#body)) this.#body = toBuffer(this.#body);
    return this.#body;
  }

  set body(value) {
    this.#body = typeof value === 'string' ? Buffer.from(value) : value;
  }

  /** The body as UTF-8 text. */
  text() {
    return this.body.toString('utf8');
  }

  /** The body parsed as JSON. */
  json() {
    return JSON.parse(this.text());
  }

  toJSON() {
    return { status: this.status, headers: this.headers.toJSON(), body: this.text() };
  }

  /**
   * Answers a Node request with this response.
   * @param {import('node:http').ServerResponse} res
   */
  send(res) {
    writeHead(res, this.status, this.headers.toFlat());
    res.end(this.body);
    return res;
  }
}

/**
 * A response as it arrives, with an event `progress` ({sent, received}, in bytes) for every piece of a body. Readable
 * side: the response body. Writable side: the rest of the request body, when the request was made with `duplex: true`.
 */
class ResponseStream extends Duplex {
  #receiver;
  #credit;
  #unpassed = 0;
  #received = 0;
  #iterator;

  /** @param {StreamReceiver} receiver @param {number} status @param {string} headers */
  constructor(receiver, status, headers) {
    super({
      readableHighWaterMark: receiver.highWaterMark,
      writableHighWaterMark: receiver.highWaterMark,
      writable: receiver.duplex,
    });
    this.status = status;
    this.headers = Headers.fromFlat(flatHeaders(headers));
    this.trailers = new Headers();
    this.#receiver = receiver;
    this.#credit = new ResponseCredit(receiver.highWaterMark);
    // An app that fails in the middle must not end Node when nobody listens: reading tells of it all the same.
    this.on('error', () => {});
  }

  /** A destination is destroyed with this stream, so that a truncated body never looks whole. */
  pipe(destination, options) {
    if (this.errored) destination.destroy();
    this.on('error', () => destination.destroy());
    return super.pipe(destination, options);
  }

  /** @internal */
  reportProgress() {
    if (this.listenerCount('progress') === 0) return;
    this.emit('progress', { sent: this.#receiver.sent, received: this.#received });
  }

  /** @internal @param {Buffer | string} body */
  receive(body) {
    this.#received += sizeOf(body);
    this.reportProgress();
    const wantsMore = this.push(toBuffer(body));
    if (wantsMore) this.#credit.pass(this.#receiver.slot, sizeOf(body));
    else this.#unpassed += sizeOf(body);
  }

  _read() {
    if (this.#unpassed === 0) return;
    const bytes = this.#unpassed;
    this.#unpassed = 0;
    this.#credit.pass(this.#receiver.slot, bytes);
  }

  _write(chunk, _encoding, done) {
    this.#receiver.write(chunk, done);
  }

  _final(done) {
    this.#receiver.endBody();
    done();
  }

  _destroy(error, done) {
    hub.leave(this.#receiver);
    done(error);
  }

  /**
   * The next piece of the body.
   * @returns {Promise<Buffer | null>} null at the end
   */
  async next() {
    this.#iterator ??= this[Symbol.asyncIterator]();
    const { value, done } = await this.#iterator.next();
    return done ? null : value;
  }

  /**
   * Answers a Node request with this response.
   * @param {import('node:http').ServerResponse} res
   */
  send(res) {
    writeHead(res, this.status, this.headers.toFlat());
    res.on('close', () => this.destroy());
    this.pipe(res);
    return res;
  }
}

/** What handleRequest() waits with. @implements {import('./hub').Receiver} */
class WholeReceiver {
  slot = -1;
  #resolve;
  #reject;
  #window;
  #status = 0;
  #headers = '';
  #chunks = [];
  #credit;
  #onWritable;

  /** Stops to listen to the caller's signal. @type {(() => void) | undefined} */
  #unwatch;

  /** Bytes of the request body that have been handed to the app. */
  sent = 0;
  #traffic;

  /**
   * @param {(response: any) => void} resolve
   * @param {(error: any) => void} reject
   * @param {number} highWaterMark
   * @param {{bytesIn: number, bytesOut: number}} traffic the handler's counters
   */
  constructor(resolve, reject, highWaterMark, traffic) {
    this.#resolve = resolve;
    this.#reject = reject;
    this.highWaterMark = highWaterMark;
    this.#traffic = traffic;
  }

  /** The caller gives up with this signal. @param {AbortSignal} signal */
  abortBy(signal) {
    const abort = () => this.abort(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    this.#unwatch = () => signal.removeEventListener('abort', abort);
  }

  /** The signal means nothing any more. */
  unwatch() {
    this.#unwatch?.();
  }

  /** @param {number} bytes of the request body */
  countSent(bytes) {
    this.sent += bytes;
    this.#traffic.bytesIn += bytes;
  }

  /** @param {number} bytes of the response body */
  countReceived(bytes) {
    this.#traffic.bytesOut += bytes;
  }

  onWhole(status, headers, body) {
    this.countReceived(sizeOf(body));
    this.#settle(Response.fromNative(status, headers, body));
  }

  onStart(status, headers) {
    this.#status = status;
    this.#headers = headers;
  }

  onChunk(body) {
    this.#credit ??= new ResponseCredit(this.highWaterMark);
    this.countReceived(sizeOf(body));
    this.#chunks.push(toBuffer(body));
    this.#credit.pass(this.slot, sizeOf(body));
  }

  onEnd(body, trailers) {
    this.countReceived(sizeOf(body));
    if (body !== undefined) this.#chunks.push(toBuffer(body));
    this.#settle(Response.fromNative(this.#status, this.#headers, Buffer.concat(this.#chunks)), trailers);
  }

  onDebug(json) {
    this.debug = JSON.parse(json);
  }

  #settle(response, trailers) {
    if (trailers) response.trailers = Headers.fromFlat(flatHeaders(trailers));
    if (this.debug) response.debug = this.debug;
    this.unwatch();
    this.#resolve(response);
  }

  onFailed(error) {
    this.unwatch();
    this.#reject(error);
    this.#wakeWriter();
  }

  onConsumed(bytes) {
    if (this.#window?.give(bytes)) this.#wakeWriter();
  }

  /**
   * Passes a piece of the request body on.
   * @param {Uint8Array} chunk @param {() => void} done called when more may follow
   */
  write(chunk, done) {
    if (this.slot < 0) return done();
    this.#window ??= new RequestWindow(this.highWaterMark);
    hub.mailbox.body(this.slot, chunk);
    this.countSent(chunk.length);
    if (this.#window.take(chunk.length)) done();
    else this.#onWritable = done;
  }

  endBody() {
    if (this.slot >= 0) hub.mailbox.end(this.slot);
  }

  /** The caller has given up. @param {any} reason */
  abort(reason) {
    this.unwatch();
    hub.leave(this);
    this.#reject(reason);
    this.#wakeWriter();
  }

  #wakeWriter() {
    const writable = this.#onWritable;
    this.#onWritable = undefined;
    writable?.();
  }
}

/** What handleStream() waits with. */
class StreamReceiver extends WholeReceiver {
  /** @type {ResponseStream | undefined} */
  #stream;
  #resolve;

  constructor(resolve, reject, highWaterMark, traffic, duplex) {
    super(resolve, reject, highWaterMark, traffic);
    this.#resolve = resolve;
    this.duplex = duplex;
  }

  onWhole(status, headers, body) {
    this.onStart(status, headers);
    this.onEnd(body);
  }

  onStart(status, headers) {
    this.#stream = new ResponseStream(this, status, headers);
    this.#stream.debug = this.debug;
    // Abortable until it has ended.
    this.#stream.once('close', () => this.unwatch());
    this.#resolve(this.#stream);
  }

  countSent(bytes) {
    super.countSent(bytes);
    this.#stream?.reportProgress();
  }

  onChunk(body) {
    this.countReceived(sizeOf(body));
    this.#stream.receive(body);
  }

  onEnd(body, trailers) {
    if (trailers) this.#stream.trailers = Headers.fromFlat(flatHeaders(trailers));
    if (body !== undefined) {
      this.countReceived(sizeOf(body));
      this.#stream.receive(body);
    }
    this.#stream.push(null);
    // The app has answered: nobody reads the rest of the request.
    if (this.duplex && !this.#stream.writableEnded) this.#stream.end();
  }

  onFailed(error) {
    super.onFailed(error);
    // Later, because start and failure may come in one batch: the caller gets the stream first, and can listen.
    setImmediate(() => this.#stream?.destroy(error));
  }

  abort(reason) {
    super.abort(reason);
    this.#stream?.destroy(reason);
  }
}

module.exports = { Response, ResponseStream, WholeReceiver, StreamReceiver, flatHeaders };
