'use strict';

/**
 * Requests on node:diagnostics_channel: `node-asgi:request:start`, `:finish` and `:error`, each with the same object for
 * one request. Costs nothing until somebody subscribes.
 */

const { AsyncResource } = require('node:async_hooks');
const { channel } = require('node:diagnostics_channel');

const { CALL, WEB_SOCKET } = require('./abilities');

const started = channel('node-asgi:request:start');
const finished = channel('node-asgi:request:finish');
const failed = channel('node-asgi:request:error');

/**
 * What subscribers are given.
 * @typedef {object} RequestMessage
 * @property {'http' | 'websocket' | 'call'} type
 * @property {string} method
 * @property {string} url the target, as sent
 * @property {string} rootPath percent-encoded
 * @property {number} startTime performance.now()
 * @property {number | undefined} status once the response has started
 * @property {number | undefined} responseTime milliseconds until then
 * @property {number | undefined} duration milliseconds until the end
 * @property {boolean} disconnected whether the client left before the end
 * @property {Error | undefined} error
 */

/** One request that somebody watches; published in the async context that it was made in. */
class Trace {
  #resource = new AsyncResource('node-asgi.request', { requireManualDestroy: true });

  /** @param {string} head see bridge/exchange.h @param {number} abilities */
  constructor(head, abilities) {
    const [method, url, , , , , , , rootPath] = head.split('\n', 9);
    const type = abilities & CALL ? 'call' : abilities & WEB_SOCKET ? 'websocket' : 'http';
    /** @type {RequestMessage} */
    this.message = {
      type, method, url, rootPath, startTime: performance.now(), status: undefined, responseTime: undefined,
      duration: undefined, disconnected: false, error: undefined,
    };
    this.#publish(started);
  }

  /** @param {number} status */
  start(status) {
    this.message.status = status;
    this.message.responseTime = performance.now() - this.message.startTime;
  }

  /** @param {Error} error */
  fail(error) {
    this.message.error = error;
    this.#publish(failed);
  }

  end() {
    this.message.duration = performance.now() - this.message.startTime;
    this.#publish(finished);
    this.#resource.emitDestroy();
  }

  #publish(to) {
    if (to.hasSubscribers) this.#resource.runInAsyncScope(() => to.publish(this.message));
  }
}

/** Whether anybody would hear of a request. */
const isWatched = () => started.hasSubscribers || finished.hasSubscribers || failed.hasSubscribers;

module.exports = { Trace, isWatched };
