'use strict';

/** Credit of both directions of one exchange. */

const { mailbox } = require('./hub');

/** What a WebSocket message counts beside its bytes: asgi/websocket_cycle.h, kMessageOverhead. */
const MESSAGE_OVERHEAD = 64;

/** Bytes of a body as the addon hands it over. @param {Buffer | string | undefined} body */
const sizeOf = (body) => (body === undefined ? 0 : body.length);

/** @param {Buffer | string | undefined} body @returns {Buffer} */
function toBuffer(body) {
  if (body === undefined) return Buffer.alloc(0);
  return typeof body === 'string' ? Buffer.from(body, 'latin1') : body;
}

/** Tells Python how much of the response has been passed on, less often than every chunk. */
class ResponseCredit {
  #passed = 0;
  #step;

  /** @param {number} highWaterMark */
  constructor(highWaterMark) {
    // Half, so that Python's window opens before it has run dry.
    this.#step = Math.max(1, highWaterMark >> 1);
  }

  /** @param {number} slot @param {number} bytes */
  pass(slot, bytes) {
    this.#passed += bytes;
    if (this.#passed < this.#step || slot < 0) return;
    mailbox.credit(slot, this.#passed);
    this.#passed = 0;
  }
}

/** Counts request body bytes that the app has not taken yet. */
class RequestWindow {
  #underWay = 0;
  #limit;

  /** @param {number} highWaterMark */
  constructor(highWaterMark) {
    this.#limit = Math.max(1, highWaterMark);
  }

  get open() {
    return this.#underWay < this.#limit;
  }

  /** @param {number} bytes @returns {boolean} whether more may follow at once */
  take(bytes) {
    this.#underWay += bytes;
    return this.#underWay < this.#limit;
  }

  /** @param {number} bytes @returns {boolean} whether more may follow */
  give(bytes) {
    this.#underWay -= bytes;
    return this.#underWay < this.#limit;
  }
}

module.exports = { MESSAGE_OVERHEAD, ResponseCredit, RequestWindow, sizeOf, toBuffer };
