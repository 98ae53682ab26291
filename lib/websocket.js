'use strict';

/** WebSockets of Node's servers: the `ws` package speaks the wire protocol, the app speaks ASGI. */

const http = require('node:http');

const { WebSocket, WebSocketServer } = require('ws');

const { WEB_SOCKET, tlsOf } = require('./abilities');
const { MESSAGE_OVERHEAD, ResponseCredit, RequestWindow, sizeOf, toBuffer } = require('./flow');
const hub = require('./hub');
const { create } = require('./errors');
const { answerError } = require('./http');
const { headOfIncoming } = require('./request');
const { flatHeaders } = require('./response');
const { forHttp2, writeHead } = require('./write-head');

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
    this.#begin(new WebSocketReceiver(this, this.#owner, {
      req,
      socket,
      respond: () => responseOn(req, socket),
      accept: (receiver, early, opened) => {
        req[kReceiver] = receiver;
        this.#server.handleUpgrade(req, socket, early, opened);
      },
    }, head), rootPath);
  }

  /**
   * Extended CONNECT over HTTP/2 (RFC 8441): the stream is the socket.
   * @param {import('node:http2').Http2ServerRequest} req
   * @param {import('node:http2').Http2ServerResponse} res
   * @param {string} [rootPath]
   */
  connect(req, res, rootPath) {
    const { stream } = req;
    stream.on('error', () => {});
    if (req.headers['sec-websocket-version'] !== '13') {
      stream.respond({ ':status': 400, 'content-type': 'text/plain; charset=utf-8' });
      stream.end('expected Sec-WebSocket-Version: 13');
      return;
    }
    this.#begin(new WebSocketReceiver(this, this.#owner, {
      req,
      socket: stream,
      respond: () => res,
      accept: (receiver, early, opened) => {
        if (stream.destroyed) return;
        stream.respond({ ':status': 200, ...receiver.http2Fields() });
        // As the package does it after an HTTP/1.1 handshake.
        const ws = new WebSocket(null, undefined, this.#server.options);
        ws.setSocket(stream, early, this.#server.options);
        opened(ws);
      },
    }, Buffer.alloc(0)), rootPath);
  }

  /** @param {WebSocketReceiver} receiver @param {string} [rootPath] */
  #begin(receiver, rootPath) {
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
    // Not end(): a socket that nobody reads would never see its other half end.
    socket.destroySoon();
  });
  return res;
}

/**
 * What a WebSocket travels on.
 * @typedef {object} Transport
 * @property {any} req of the handshake
 * @property {any} socket
 * @property {() => any} respond a response that is no WebSocket
 * @property {(receiver: WebSocketReceiver, early: Buffer, opened: (ws: import('ws').WebSocket) => void) => void} accept
 */

/** One WebSocket of a Node server. @implements {import('./hub').Receiver} */
class WebSocketReceiver {
  slot = -1;
  subprotocol = '';
  #host;
  #owner;
  #transport;
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
  #corked = false;
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
    // Sockets of Node's servers stay half open until somebody ends them.
    this.#socket.destroy();
  };

  /**
   * @param {WebSocketHost} host
   * @param {import('./http').HttpOwner} owner
   * @param {Transport} transport
   * @param {Buffer} head
   */
  constructor(host, owner, transport, head) {
    this.#host = host;
    this.#owner = owner;
    this.#transport = transport;
    this.#req = transport.req;
    this.#socket = transport.socket;
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

  /** Fields for the 200 response over HTTP/2. */
  http2Fields() {
    const fields = forHttp2(flatHeaders(this.#headers));
    if (this.subprotocol) fields['sec-websocket-protocol'] = this.subprotocol;
    return fields;
  }

  onAccept(subprotocol, headers) {
    this.subprotocol = subprotocol;
    this.#headers = headers;
    this.#stopReading();
    this.#transport.accept(this, Buffer.concat(this.#early), (ws) => this.#onOpen(ws));
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
      if (this.#window.take(data.length + MESSAGE_OVERHEAD)) return;
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
    this.#unpassed += size + MESSAGE_OVERHEAD;
    this.#cork();
    if (ws.bufferedAmount < highWaterMark) {
      ws.send(toBuffer(body), { binary });
      this.#passCredit();
    } else {
      ws.send(toBuffer(body), { binary }, () => {
        if (ws.bufferedAmount < highWaterMark) this.#passCredit();
      });
    }
  }

  /** The messages of one batch leave in one write to the socket. */
  #cork() {
    if (this.#corked) return;
    this.#corked = true;
    this.#socket.cork();
    process.nextTick(() => {
      this.#corked = false;
      this.#socket.uncork();
    });
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
    const headers = { 'content-type': 'text/plain; charset=utf-8', 'content-length': 9 };
    res.writeHead(403, res.stream ? headers : { ...headers, connection: 'close' });
    res.end('Forbidden');
  }

  /** @param {number} code @param {string} reason */
  #end(code, reason) {
    // Paused, the client's own close frame would never be read.
    if (this.#paused) this.#ws.resume();
    this.#ws.close(code, reason);
  }

  onFailed(error) {
    if (this.#ws) this.#end(INTERNAL_ERROR, '');
    else answerError(this.#answer(), error, this.#owner.options.debug);
    if (error.status !== 503 && !(error.status < 500)) this.#owner.report(error);
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
      writeHead(res, status, flatHeaders(headers));
    } catch (error) {
      hub.leave(this);
      answerError(res, error, this.#owner.options.debug);
      this.#owner.report(error);
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
      this.#res = this.#transport.respond();
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
