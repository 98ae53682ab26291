'use strict';

/** The WHATWG WebSocket interface of a conversation with the app, without a socket. */

const { WEB_SOCKET } = require('./abilities');
const { create } = require('./errors');
const { MESSAGE_OVERHEAD, RequestWindow, ResponseCredit, sizeOf, toBuffer } = require('./flow');
const hub = require('./hub');
const { describe } = require('./options');
const { flatHeaders } = require('./response');

const NO_STATUS = 1005;
const ABNORMAL = 1006;
const INTERNAL_ERROR = 1011;
const MAX_REASON_BYTES = 123;

const CONNECTING = 0;
const OPEN = 1;
const CLOSING = 2;
const CLOSED = 3;

/** Events come as tasks of their own, so that what waits for one has its turn before the next. */
const later = setImmediate;

/** As the DOM's, which Node has from version 23. */
class CloseEvent extends Event {
  /** @param {string} type @param {{wasClean?: boolean, code?: number, reason?: string}} [init] */
  constructor(type, { wasClean = false, code = 0, reason = '' } = {}) {
    super(type);
    this.wasClean = wasClean;
    this.code = code;
    this.reason = reason;
  }
}

/** As the DOM's, with the error that caused it. */
class ErrorEvent extends Event {
  /** @param {string} type @param {Error} error */
  constructor(type, error) {
    super(type);
    this.error = error;
    this.message = error.message;
  }
}

/** @implements {import('./hub').Receiver} */
class InProcessWebSocket extends EventTarget {
  /** @internal */
  slot = -1;
  url;
  protocol = '';
  extensions = '';
  readyState = CONNECTING;
  /** @type {'blob' | 'arraybuffer' | 'nodebuffer'} */
  binaryType = 'blob';
  /** Fields of the app's answer to the handshake. @type {[string, string][]} */
  headers = [];
  #owner;
  #window;
  #credit;
  /** Messages that the app has not taken yet, beyond the window. @type {{bytes: Uint8Array, binary: boolean}[]} */
  #waiting = [];
  #waitingBytes = 0;
  #handlers = new Map();
  #accepted = false;
  #denial = { status: 0, chunks: [] };

  /** @param {import('./http').HttpOwner} owner @param {string} url */
  constructor(owner, url) {
    super();
    this.#owner = owner;
    this.url = url;
    this.#window = new RequestWindow(owner.options.highWaterMark);
    this.#credit = new ResponseCredit(owner.options.highWaterMark);
  }

  /** @internal @param {any} native @param {{head: string, extra?: string}} request */
  start(native, { head, extra }) {
    if (this.readyState !== CONNECTING) return;
    hub.start(native, { head, complete: true, abilities: WEB_SOCKET, extra }, this);
  }

  /** Bytes that the app has not taken yet. */
  get bufferedAmount() {
    return this.#waitingBytes;
  }

  /** @param {string | ArrayBufferLike | ArrayBufferView | Blob} data */
  send(data) {
    if (this.readyState === CONNECTING) throw new DOMException('the app has not accepted yet', 'InvalidStateError');
    if (this.readyState !== OPEN) return;
    if (data instanceof Blob) {
      // A place in the order of messages, filled once the bytes are there.
      const place = { bytes: undefined, binary: true };
      this.#waiting.push(/** @type {any} */ (place));
      data.arrayBuffer().then((bytes) => {
        place.bytes = new Uint8Array(bytes);
        this.#waitingBytes += place.bytes.length;
        this.#pass();
      });
      return;
    }
    const binary = typeof data !== 'string';
    const bytes = binary ? bytesOf(data) : Buffer.from(data);
    this.#waiting.push({ bytes, binary });
    this.#waitingBytes += bytes.length;
    this.#pass();
  }

  #pass() {
    while (this.#waiting.length > 0 && this.#waiting[0].bytes && this.#window.open && this.slot >= 0) {
      const { bytes, binary } = /** @type {any} */ (this.#waiting.shift());
      this.#waitingBytes -= bytes.length;
      this.#owner.bytesIn += bytes.length;
      hub.mailbox.message(this.slot, bytes, binary);
      this.#window.take(bytes.length + MESSAGE_OVERHEAD);
    }
    if (this.readyState === CLOSING && this.#waiting.length === 0) this.#leave();
  }

  #closing = { code: NO_STATUS, reason: '' };

  /** @param {number} [code] 1000 or 3000 to 4999 @param {string} [reason] at most 123 bytes of UTF-8 */
  close(code, reason = '') {
    if (code !== undefined && code !== 1000 && !(code >= 3000 && code <= 4999)) {
      throw new DOMException(`expected a code of 1000 or 3000 to 4999, got ${describe(code)}`, 'InvalidAccessError');
    }
    if (Buffer.byteLength(reason) > MAX_REASON_BYTES) {
      throw new DOMException(`expected a reason of at most ${MAX_REASON_BYTES} bytes`, 'SyntaxError');
    }
    if (this.readyState >= CLOSING) return;
    this.#closing = this.readyState === OPEN ? { code: code ?? NO_STATUS, reason } : { code: ABNORMAL, reason: '' };
    const connecting = this.readyState === CONNECTING;
    this.readyState = CLOSING;
    if (connecting) this.#leave();
    else this.#pass();
  }

  #leave() {
    const { code, reason } = this.#closing;
    hub.leave(this, code, reason);
    this.#closed(code, reason);
  }

  #closed(code, reason) {
    later(() => {
      if (this.readyState === CLOSED) return;
      this.readyState = CLOSED;
      this.dispatchEvent(new CloseEvent('close', { wasClean: code !== ABNORMAL, code, reason }));
    });
  }

  #fail(error) {
    later(() => {
      if (this.readyState === CLOSED) return;
      this.readyState = CLOSED;
      this.dispatchEvent(new ErrorEvent('error', error));
      this.dispatchEvent(new CloseEvent('close', { code: ABNORMAL }));
    });
  }

  // Receiver

  onAccept(subprotocol, headers) {
    this.#accepted = true;
    later(() => {
      if (this.readyState !== CONNECTING) return;
      this.protocol = subprotocol;
      const flat = flatHeaders(headers);
      for (let i = 0; i < flat.length; i += 2) this.headers.push([flat[i], flat[i + 1]]);
      this.readyState = OPEN;
      this.dispatchEvent(new Event('open'));
    });
  }

  onMessage(body, binary) {
    const size = sizeOf(body);
    this.#owner.bytesOut += size;
    this.#credit.pass(this.slot, size + MESSAGE_OVERHEAD);
    const bytes = toBuffer(body);
    later(() => {
      if (this.readyState !== OPEN) return;
      let data = binary ? bytes : bytes.toString('utf8');
      if (binary && this.binaryType === 'blob') data = new Blob([bytes]);
      if (binary && this.binaryType === 'arraybuffer') data = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
      this.dispatchEvent(new MessageEvent('message', { data }));
    });
  }

  onConsumed(bytes) {
    this.#window.give(bytes);
    this.#pass();
  }

  onClose(code, reason) {
    if (this.#accepted) this.#closed(code, reason);
    else this.#refused(403, '');
  }

  onFailed(error) {
    if (!this.#accepted) {
      this.#fail(error);
      return;
    }
    this.#owner.report(error);
    this.#closed(INTERNAL_ERROR, '');
  }

  onStart(status) {
    this.#denial.status = status;
  }

  onChunk(body) {
    this.#denial.chunks.push(toBuffer(body));
    this.#credit.pass(this.slot, sizeOf(body));
  }

  onEnd(body) {
    if (body !== undefined) this.#denial.chunks.push(toBuffer(body));
    this.#refused(this.#denial.status, Buffer.concat(this.#denial.chunks).toString());
  }

  onWhole(status, _headers, body) {
    this.#refused(status, toBuffer(body).toString());
  }

  #refused(status, body) {
    this.#fail(create('ERR_ASGI_WEBSOCKET_REFUSED', `the app refused the WebSocket with status ${status}`, { response: { status, body } }));
  }

  /** @internal */
  refuse(error) {
    this.#fail(error);
  }

  #handler(type) {
    return this.#handlers.get(type) ?? null;
  }

  #setHandler(type, handler) {
    const before = this.#handlers.get(type);
    if (before) this.removeEventListener(type, before);
    this.#handlers.delete(type);
    if (typeof handler !== 'function') return;
    this.#handlers.set(type, handler);
    this.addEventListener(type, handler);
  }

  static {
    for (const [name, value] of Object.entries({ CONNECTING, OPEN, CLOSING, CLOSED })) {
      Object.defineProperty(this, name, { value, enumerable: true });
      Object.defineProperty(this.prototype, name, { value, enumerable: true });
    }
    for (const type of ['open', 'message', 'error', 'close']) {
      Object.defineProperty(this.prototype, `on${type}`, {
        get() { return this.#handler(type); },
        set(handler) { this.#setHandler(type, handler); },
        enumerable: true,
        configurable: true,
      });
    }
  }
}

/** @param {any} data @returns {Uint8Array} */
function bytesOf(data) {
  if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  if (data instanceof ArrayBuffer || data instanceof SharedArrayBuffer) return new Uint8Array(data);
  throw new TypeError(`expected a string, bytes or a Blob, got ${describe(data)}`);
}

module.exports = { InProcessWebSocket };
