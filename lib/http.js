'use strict';

/** Python apps behind Node's own servers: node:http, node:https, node:http2 (compat), Express and Connect. */

const fs = require('node:fs');
const http = require('node:http');
const net = require('node:net');

const { CONTINUE, LENT_BODY, abilitiesOf, tlsOf } = require('./abilities');
const { awaitsContinue, writeContinue } = require('./attach');
const { FileSender } = require('./file-sender');
const { ResponseCredit, RequestWindow, sizeOf, toBuffer } = require('./flow');
const hub = require('./hub');
const { tooLarge } = require('./errors');
const { headOfIncoming, hasBody, parsedBody } = require('./request');
const { flatHeaders } = require('./response');
const { forHttp2, writeHead } = require('./write-head');

const HTTP2_INTERNAL_ERROR = 2;

/** One request of a Node server. @implements {import('./hub').Receiver} */
class HttpReceiver {
  slot = -1;
  #owner;
  #req;
  #res;
  #next;
  #credit;
  #window;
  #received = 0;
  #unpassed = 0;
  /** Listens to `drain`, once something had to wait for it. */
  #onDrain;
  #onClose;
  #streaming = false;
  #reading = false;
  /** @type {FileSender | undefined} */
  #file;

  /**
   * @param {HttpOwner} owner
   * @param {any} req
   * @param {any} res
   * @param {((error?: Error) => void) | undefined} next called instead of answering 404
   */
  constructor(owner, req, res, next) {
    this.#owner = owner;
    this.#req = req;
    this.#res = res;
    this.#next = next;
  }

  start() {
    const req = this.#req;
    const { options, native } = this.#owner;
    let body;
    if (hasBody(req)) {
      body = parsedBody(req);
      this.#streaming = body === undefined;
      const announced = Number(body?.length ?? req.headers['content-length'] ?? 0);
      if (options.maxBodyBytes > 0 && announced > options.maxBodyBytes) throw tooLarge(options.maxBodyBytes);
    }
    let abilities = abilitiesOf(req, this.#res);
    // What another handler may answer comes whole.
    if (!this.#next && keepsNothing(this.#res)) abilities |= LENT_BODY;
    const head = headOfIncoming(req, options.rootPath, body);
    const waits = this.#streaming && awaitsContinue(req);
    if (waits) abilities |= CONTINUE;
    hub.start(native, {
      head, body, complete: !this.#streaming, abilities, extra: this.#owner.extraScope, tls: tlsOf(req),
    }, this, true);
    if (body) this.#owner.bytesIn += body.length;
    // After start(), which may throw: a request that is refused is nobody's client.
    this.#onClose = () => hub.leave(this);
    this.#res.on('close', this.#onClose);
    if (this.#streaming && !waits) this.#readBody();
  }

  #readBody() {
    const req = this.#req;
    this.#reading = true;
    writeContinue(req);
    const { highWaterMark, maxBodyBytes } = this.#owner.options;
    this.#window = new RequestWindow(highWaterMark);
    req.on('data', (chunk) => {
      if (this.slot < 0) return;
      this.#received += chunk.length;
      if (maxBodyBytes > 0 && this.#received > maxBodyBytes) {
        hub.leave(this);
        this.onFailed(tooLarge(maxBodyBytes));
        return;
      }
      this.#owner.bytesIn += chunk.length;
      hub.mailbox.body(this.slot, chunk);
      if (!this.#window.take(chunk.length)) req.pause();
    });
    req.on('end', () => {
      // A stream of HTTP/2 that its client resets ends too: its response closes, which tells the app.
      if (this.slot >= 0 && !req.stream?.closed) hub.mailbox.end(this.slot);
    });
    // A broken upload also closes the response, which tells the app.
    req.on('error', () => {});
  }

  onConsumed(bytes) {
    if (!this.#reading) {
      // The app has asked for the body: now the client may send it (checklist H-14).
      this.#readBody();
      return;
    }
    if (this.#window.give(bytes)) this.#req.resume();
  }

  onWhole(status, headers, body) {
    if (status === 404 && this.#next) {
      const next = this.#next;
      this.#done();
      next();
      return;
    }
    if (this.#writeHead(status, headers)) this.#end(body);
  }

  onStart(status, headers) {
    this.#next = undefined;
    // Without the flush the head would wait for the first body bytes.
    if (this.#writeHead(status, headers) && !this.#res.stream) this.#res.flushHeaders();
  }

  /** @returns {boolean} whether the response is ours to go on with */
  #writeHead(status, headers) {
    const res = this.#res;
    // Destroyed, or answered by somebody else such as a timeout middleware.
    if (res.destroyed || res.headersSent) {
      this.#leave();
      return false;
    }
    try {
      writeHead(res, status, flatHeaders(headers));
      return true;
    } catch (error) {
      // Node refuses what the addon let pass: the app's error, never an uncaught one.
      this.#leave();
      answerError(res, error, this.#owner.options.debug);
      this.#owner.report(error);
      return false;
    }
  }

  #leave() {
    hub.leave(this);
    this.#done();
  }

  onHint(links) {
    if (!this.#res.headersSent && !this.#res.destroyed) writeEarlyHints(this.#res, links);
  }

  onPush(path, headers) {
    if (!this.#res.destroyed) push(this.#owner, this.#req, this.#res, path, flatHeaders(headers));
  }

  /** Parts of the body that come while a file is sent wait for its end. */
  onFile(fd, offset, bytes) {
    if (this.#file) {
      this.#file.after(() => this.onFile(fd, offset, bytes), () => fs.closeSync(fd));
      return;
    }
    this.#credit ??= new ResponseCredit(this.#owner.options.highWaterMark);
    this.#file = new FileSender(this.#res, { fd, offset, bytes }, {
      passed: (size) => {
        this.#owner.bytesOut += size;
        this.#credit.pass(this.slot, size);
      },
      ended: (rest) => {
        this.#file = undefined;
        for (const next of rest) next();
      },
      failed: (error) => {
        hub.leave(this);
        this.onFailed(error);
      },
    });
  }

  onBlock(block, bytes) {
    const { memory } = block;
    const piece = bytes === memory.length ? memory : memory.subarray(0, bytes);
    if (!this.#file && !this.#res.destroyed && keepsNothing(this.#res)) {
      this.onChunk(piece, block.give);
      return;
    }
    const copy = Buffer.from(piece);
    block.give();
    this.onChunk(copy);
  }

  /** @param {Buffer | string} body @param {() => void} [written] called when Node looks at it no more */
  onChunk(body, written) {
    if (this.#file) {
      this.#file.after(() => this.onChunk(body));
      return;
    }
    if (this.#res.destroyed) return;
    const size = sizeOf(body);
    this.#owner.bytesOut += size;
    this.#credit ??= new ResponseCredit(this.#owner.options.highWaterMark);
    const goesOn = this.#res.write(toBuffer(body), written);
    // Middleware that packs bodies keeps what it was given until it is told: nothing that an app sends waits.
    if (Object.hasOwn(this.#res, 'flush')) this.#res.flush();
    if (goesOn) {
      this.#credit.pass(this.slot, size + this.#unpassed);
      this.#unpassed = 0;
      return;
    }
    if (!this.#onDrain) {
      this.#onDrain = () => this.#passOn();
      this.#res.on('drain', this.#onDrain);
    }
    this.#unpassed += size;
  }

  #passOn() {
    const bytes = this.#unpassed;
    this.#unpassed = 0;
    if (bytes > 0) this.#credit.pass(this.slot, bytes);
  }

  onEnd(body, trailers) {
    if (this.#file) this.#file.after(() => this.onEnd(body, trailers));
    else this.#end(body, trailers);
  }

  #end(body, trailers) {
    if (this.#res.destroyed) return;
    if (trailers && wantsTrailers(this.#req)) addTrailers(this.#res, flatHeaders(trailers));
    this.#owner.bytesOut += sizeOf(body);
    // A latin-1 string leaves in one write with the head.
    if (typeof body === 'string') this.#res.end(body, 'latin1');
    else this.#res.end(body);
    this.#done();
  }

  onFailed(error) {
    this.#file?.stop();
    answerError(this.#res, error, this.#owner.options.debug);
    this.#done();
    // Last, because a listener may throw. What the client did wrong is its own error.
    if (!(error.status < 500)) this.#owner.report(error);
  }

  /** The exchange is over: the rest of the request must not block the connection (checklist H-15). */
  #done() {
    if (this.#onClose) this.#res.off('close', this.#onClose);
    if (this.#streaming && !this.#req.readableEnded) this.#req.resume();
  }
}

const { write, end } = http.ServerResponse.prototype;
const { write: writeToSocket } = net.Socket.prototype;
/** Both inherit it; where they do not, somebody has put one of his own there. */
const isPatched = Object.hasOwn(http.ServerResponse.prototype, 'write') || Object.hasOwn(net.Socket.prototype, 'write');

/**
 * Whether a response keeps nothing of what is written to it: it goes to Node alone, which looks at it no more once it says
 * that it has been written. Only then can memory be lent. Middleware that packs or logs bodies has a write() of its own.
 * @param {any} res
 */
function keepsNothing(res) {
  const { socket } = res;
  if (isPatched || !hub.lends || res.write !== write || res.end !== end) return false;
  // A socket that is ending drops what is written, and with it the word that it has been.
  return socket != null && socket.constructor === net.Socket && socket.write === writeToSocket && socket.writable;
}

/** Whether the client takes trailers (RFC 9110 section 10.1.4; checklist E-15). @param {any} req */
function wantsTrailers(req) {
  return String(req.headers.te ?? '').split(',').some((coding) => coding.split(';', 1)[0].trim().toLowerCase() === 'trailers');
}

/** @param {any} res @param {string[]} flat */
function addTrailers(res, flat) {
  if (res.stream) {
    res.addTrailers(forHttp2(flat));
    return;
  }
  const pairs = [];
  for (let i = 0; i < flat.length; i += 2) pairs.push([flat[i], flat[i + 1]]);
  res.addTrailers(pairs);
}

/** A 103 response. Links that Node refuses are left out: a server may ignore hints. @param {any} res @param {string[]} links */
function writeEarlyHints(res, links) {
  if (res.stream) {
    res.stream.additionalHeaders({ ':status': 103, link: links });
    return;
  }
  try {
    res.writeEarlyHints({ link: links });
  } catch {
    // Node's pattern for links is narrower than RFC 8288.
    for (const link of links.length > 1 ? links : []) writeEarlyHints(res, [link]);
  }
}

/**
 * Promises a response to the client and lets the app make it (HTTP/2 server push).
 * @param {HttpOwner} owner @param {any} parent @param {any} res @param {string} path @param {string[]} flat
 */
function push(owner, parent, res, path, flat) {
  const fields = { ...forHttp2(flat), ':path': path };
  res.createPushResponse(fields, (error, pushed) => {
    if (error) return; // a client may refuse to be pushed to
    const headers = { ':authority': parent.authority, ...forHttp2(flat) };
    const rawHeaders = [':authority', parent.authority, ...flat];
    const { session } = parent.stream;
    const stream = { endAfterHeaders: true, session };
    const { baseUrl } = parent;
    const version = { httpVersionMajor: 2, httpVersionMinor: 0, httpVersion: '2.0' };
    serve(owner, { method: 'GET', url: path, baseUrl, headers, rawHeaders, stream, ...version }, pushed);
  });
}

/**
 * @param {any} res
 * @param {Error & {code?: string, status?: number, stack?: string}} error
 * @param {boolean} debug whether the body tells the traceback
 */
function answerError(res, error, debug) {
  if (res.headersSent) {
    // A truncated body must never look whole: no clean end. A tick later, when what was written has left.
    if (res.stream) res.stream.close(HTTP2_INTERNAL_ERROR);
    else process.nextTick(() => res.destroy());
    return;
  }
  if (res.destroyed) return;
  const status = error.status ?? 500;
  const text = debug ? String(error.stack) : PHRASES[status] ?? PHRASES[500];
  const headers = { 'content-type': 'text/plain; charset=utf-8', 'content-length': Buffer.byteLength(text) };
  if (status === 503) headers['retry-after'] = '1';
  if (!res.stream) headers.connection = 'close';
  res.writeHead(status, headers);
  res.end(text);
}

const PHRASES = {
  400: 'Bad Request',
  413: 'Content Too Large',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
};

/**
 * What a receiver needs of its handler.
 * @typedef {object} HttpOwner
 * @property {Record<string, any>} options
 * @property {any} native the addon's handler; undefined until Python has been found
 * @property {string | undefined} extraScope JSON
 * @property {number} bytesIn
 * @property {number} bytesOut
 * @property {(error: Error, level?: 'error' | 'warning') => void} report
 * @property {() => Promise<void>} begin
 */

/**
 * @param {HttpOwner} owner
 * @param {any} req
 * @param {any} res
 * @param {((error?: Error) => void)} [next]
 */
function serve(owner, req, res, next) {
  if (owner.native === undefined) {
    owner.begin().then(() => serve(owner, req, res, next), (error) => {
      answerError(res, error, owner.options.debug);
      owner.report(error);
    });
    return;
  }
  try {
    new HttpReceiver(owner, req, res, next).start();
  } catch (error) {
    // A server that is busy or closing says so by its answers; it is no error of the app.
    answerError(res, error, owner.options.debug);
    if (error.status !== 503 && !(error.status < 500)) owner.report(error);
  }
}

module.exports = { serve, answerError };
