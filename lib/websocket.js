'use strict';

/** WebSockets of Node's servers: the `ws` package speaks the wire protocol, the app speaks ASGI. */

const http = require('node:http');

const { WebSocketServer } = require('ws');

const { WEB_SOCKET, tlsOf } = require('./abilities');
const { ResponseCredit, RequestWindow, sizeOf, toBuffer } = require('./flow');
const hub = require('./hub');
const { create } = require('./errors');
const { answerError } = require('./http');
const { headOfIncoming } = require('./request');
const { flatHeaders } = require('./response');

/** What a message counts beside its bytes: asgi/websocket_cycle.h, kMessageOverhead. */
const OVERHEAD = 64;
/** The most that is read from a client before its handshake is answered, in bytes. */
const EARLY_BYTES = 65536;

const KEY = /^[+/0-9A-Za-z]{22}==$/;
const NO_STATUS = 1005;
const ABNORMAL = 1006;
const INTERNAL_ERROR = 1011;

/** Close codes for what a client did wrong, by the codes of the errors of `ws`. */
const CODES = {
  WS_ERR_INVALID_UTF8: 1007,
  WS_ERR_UNSUPPORTED_MESSAGE_LENGTH: 1009,
  WS_ERR_UNSUPPORTED_DATA_PAYLOAD_LENGTH: 1009,
};

/** The WebSockets of one handler. */
class WebSocketHost {
  #owner;
  #server;
  /** @type {Set<WebSocketReceiver>} */
  #open = new Set();
  #pinging;

  /** @param {import('./http').HttpOwner} owner */
  constructor(owner) {
    const { perMessageDeflate, maxMessageBytes } = owner.options;
    this.#owner = owner;
    this.#server = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate,
      maxPayload: maxMessageBytes,
      handleProtocols: (_offered, req) => req[kReceiver].subprotocol || false,
    });
    this.#server.on('headers', (lines, req) => lines.push(...req[kReceiver].headerLines()));
  }

  /**
   * @param {import('node:http').IncomingMessage} req
   * @param {import('node:net').Socket} socket
   * @param {Buffer} head
   * @param {string} [rootPath]
   */
  upgrade(req, socket, head, rootPath) {
    // Nobody else listens: without this a reset would be an uncaught exception.
    socket.on('error', () => {});
    const problem = badHandshake(req);
    if (problem) {
      const res = responseOn(req, socket);
      res.writeHead(problem.status, { 'content-type': 'text/plain; charset=utf-8', connection: 'close', ...problem.headers });
      res.end(problem.text);
      return;
    }
    const receiver = new WebSocketReceiver(this, this.#owner, req, socket, head);
    const begin = () => {
      try {
        receiver.start(rootPath);
      } catch (error) {
        receiver.refuse(error);
      }
    };
    if (this.#owner.native === undefined) this.#owner.begin().then(begin, (error) => receiver.refuse(error));
    else begin();
  }

  /** @param {WebSocketReceiver} receiver @param {(ws: import('ws').WebSocket) => void} opened */
  complete(receiver, req, socket, head, opened) {
    req[kReceiver] = receiver;
    this.#server.handleUpgrade(req, socket, head, opened);
  }

  /** @param {WebSocketReceiver} receiver */
  add(receiver) {
    this.#open.add(receiver);
    const { pingInterval } = this.#owner.options;
    if (pingInterval > 0) this.#pinging ??= setInterval(() => this.#ping(), pingInterval).unref();
  }

  /** @param {WebSocketReceiver} receiver */
  remove(receiver) {
    this.#open.delete(receiver);
    if (this.#open.size > 0) return;
    clearInterval(this.#pinging);
    this.#pinging = undefined;
  }

  /** One timer for all sockets: a dead peer is found by the pong that never comes. */
  #ping() {
    const pinged = [...this.#open].filter((receiver) => receiver.ping());
    setTimeout(() => {
      for (const receiver of pinged) receiver.endIfSilent();
    }, this.#owner.options.pingTimeout).unref();
  }
}

const kReceiver = Symbol('node-asgi.receiver');

/**
 * What is wrong with a handshake (RFC 6455 section 4.2.1); undefined when nothing is.
 * @param {import('node:http').IncomingMessage} req
 * @returns {{status: number, text: string, headers?: object} | undefined}
 */
function badHandshake(req) {
  const { upgrade, 'sec-websocket-key': key, 'sec-websocket-version': version } = req.headers;
  if (req.method !== 'GET' || req.httpVersion !== '1.1') {
    return { status: 400, text: `expected a WebSocket handshake of GET and HTTP/1.1, got ${req.method} and HTTP/${req.httpVersion}` };
  }
  if (String(upgrade).toLowerCase() !== 'websocket') return { status: 400, text: 'expected Upgrade: websocket' };
  if (version !== '13') {
    return { status: 426, text: 'expected Sec-WebSocket-Version: 13', headers: { 'sec-websocket-version': '13', upgrade: 'websocket' } };
  }
  if (key === undefined || !KEY.test(key)) return { status: 400, text: 'expected a Sec-WebSocket-Key of 16 bytes in base64' };
  return undefined;
}

/** A response on the socket of a handshake. */
function responseOn(req, socket) {
  const res = new http.ServerResponse(req);
  res.shouldKeepAlive = false;
  res.assignSocket(socket);
  res.on('finish', () => {
    res.detachSocket(socket);
    socket.end();
  });
  return res;
}

/** One WebSocket of a Node server. @implements {import('./hub').Receiver} */
class WebSocketReceiver {
  slot = -1;
  subprotocol = '';
  #host;
  #owner;
  #req;
  #socket;
  #headers = '';
  /** What the client has sent before its handshake was answered. @type {Buffer[]} */
  #early = [];
  #earlyBytes = 0;
  #window;
  #credit;
  #unpassed = 0;
  /** @type {import('ws').WebSocket | undefined} */
  #ws;
  /** @type {http.ServerResponse | undefined} an answer that is no 101 */
  #res;
  #paused = false;
  #silent = false;
  /** The code of what the client did wrong. */
  #fault = 0;

  #onEarlyData = (chunk) => {
    this.#early.push(chunk);
    this.#earlyBytes += chunk.length;
    if (this.#earlyBytes >= EARLY_BYTES) this.#socket.pause();
  };

  #onGone = () => {
    hub.leave(this, ABNORMAL);
    this.#host.remove(this);
  };

  constructor(host, owner, req, socket, head) {
    this.#host = host;
    this.#owner = owner;
    this.#req = req;
    this.#socket = socket;
    if (head.length > 0) this.#onEarlyData(head);
    const { highWaterMark } = owner.options;
    this.#window = new RequestWindow(highWaterMark);
    this.#credit = new ResponseCredit(highWaterMark);
  }

  /** @param {string} [rootPath] */
  start(rootPath) {
    const { options, native, extraScope } = this.#owner;
    const head = headOfIncoming(this.#req, options.rootPath ?? rootPath);
    hub.start(native, { head, complete: true, abilities: WEB_SOCKET, extra: extraScope, tls: tlsOf(this.#req) }, this);
    // Read on, or a client that leaves before it has its answer would not be noticed.
    this.#socket.on('data', this.#onEarlyData);
    this.#socket.once('end', this.#onGone);
    this.#socket.once('close', this.#onGone);
  }

  /** Lines for the 101 response. @returns {string[]} */
  headerLines() {
    const flat = flatHeaders(this.#headers);
    const lines = [];
    for (let i = 0; i < flat.length; i += 2) lines.push(`${flat[i]}: ${flat[i + 1]}`);
    return lines;
  }

  onAccept(subprotocol, headers) {
    this.subprotocol = subprotocol;
    this.#headers = headers;
    this.#stopReading();
    this.#host.complete(this, this.#req, this.#socket, Buffer.concat(this.#early), (ws) => this.#onOpen(ws));
    // The handshake was refused after all, or the client had left.
    if (!this.#ws) this.#onGone();
  }

  #stopReading() {
    this.#socket.off('data', this.#onEarlyData);
    this.#socket.off('end', this.#onGone);
    this.#socket.pause();
  }

  #onOpen(ws) {
    this.#ws = ws;
    this.#early = [];
    this.#socket.off('close', this.#onGone);
    this.#host.add(this);
    ws.on('message', (data, binary) => {
      if (this.slot < 0) return;
      this.#owner.bytesIn += data.length;
      hub.mailbox.message(this.slot, data, binary);
      if (this.#window.take(data.length + OVERHEAD)) return;
      this.#paused = true;
      ws.pause();
    });
    ws.on('pong', () => { this.#silent = false; });
    ws.on('error', (error) => {
      this.#fault = CODES[error.code] ?? 1002;
      if (this.#fault === 1009) this.#owner.report(tooLarge(this.#owner.options.maxMessageBytes), 'warning');
    });
    ws.on('close', (code, reason) => {
      const told = this.#fault > 0 && (code === ABNORMAL || code === NO_STATUS) ? this.#fault : code;
      hub.leave(this, told, reason.toString());
      this.#host.remove(this);
    });
    this.#socket.resume();
  }

  onMessage(body, binary) {
    const ws = this.#ws;
    const size = sizeOf(body);
    this.#owner.bytesOut += size;
    const { highWaterMark } = this.#owner.options;
    this.#unpassed += size + OVERHEAD;
    if (ws.bufferedAmount < highWaterMark) {
      ws.send(toBuffer(body), { binary });
      this.#passCredit();
    } else {
      ws.send(toBuffer(body), { binary }, () => {
        if (ws.bufferedAmount < highWaterMark) this.#passCredit();
      });
    }
  }

  #passCredit() {
    const bytes = this.#unpassed;
    this.#unpassed = 0;
    this.#credit.pass(this.slot, bytes);
  }

  onConsumed(bytes) {
    if (!this.#window.give(bytes) || !this.#paused) return;
    this.#paused = false;
    this.#ws.resume();
  }

  onClose(code, reason) {
    if (this.#ws) {
      this.#end(code, reason);
      return;
    }
    const res = this.#answer();
    res.writeHead(403, { 'content-type': 'text/plain; charset=utf-8', 'content-length': 9, connection: 'close' });
    res.end('Forbidden');
  }

  /** @param {number} code @param {string} reason */
  #end(code, reason) {
    // Paused, the client's own close frame would never be read.
    if (this.#paused) this.#ws.resume();
    this.#ws.close(code, reason);
  }

  onFailed(error) {
    if (error.status !== 503 && !(error.status < 500)) this.#owner.report(error);
    if (this.#ws) this.#end(INTERNAL_ERROR, '');
    else answerError(this.#answer(), error, this.#owner.options.debug);
  }

  /** The app was never asked. @param {Error & {status?: number}} error */
  refuse(error) {
    this.onFailed(error);
  }

  // The denial response of the app (extension websocket.http.response).

  onWhole(status, headers, body) {
    this.onStart(status, headers);
    this.onEnd(body);
  }

  onStart(status, headers) {
    const res = this.#answer();
    try {
      res.writeHead(status, flatHeaders(headers));
    } catch (error) {
      hub.leave(this);
      this.#owner.report(error);
      answerError(res, error, this.#owner.options.debug);
    }
  }

  onChunk(body) {
    this.#unpassed += sizeOf(body);
    if (this.#res.write(toBuffer(body))) this.#passCredit();
    else this.#res.once('drain', () => this.#passCredit());
  }

  onEnd(body) {
    if (!this.#res.writableEnded) this.#res.end(toBuffer(body));
  }

  #answer() {
    if (!this.#res) {
      this.#stopReading();
      this.#res = responseOn(this.#req, this.#socket);
    }
    return this.#res;
  }

  /** @returns {boolean} whether an answer is to be expected */
  ping() {
    // A socket that nobody reads from cannot show its pong.
    if (this.#paused || this.#ws.readyState !== this.#ws.OPEN) return false;
    this.#silent = true;
    this.#ws.ping();
    return true;
  }

  endIfSilent() {
    if (this.#silent && !this.#paused) this.#ws.terminate();
  }
}

/** @param {number} limit bytes */
function tooLarge(limit) {
  return create('ERR_ASGI_MESSAGE_TOO_LARGE', `a WebSocket message has more than ${limit} bytes (option maxMessageBytes)`);
}

module.exports = { WebSocketHost };
