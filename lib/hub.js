'use strict';

/**
 * This realm's end of the native mailbox: hands each event of a batch to the exchange that waits for it, and keeps
 * the process alive while somebody waits.
 */

const fs = require('node:fs');

const { COMPLETE, LATER } = require('./abilities');
const binding = require('./binding');
const { Trace, isWatched } = require('./diagnostics');
const { create, fromFailure } = require('./errors');

/** bridge/events.h, ResponseEvent::Kind */
const WHOLE = 0;
const START = 1;
const CHUNK = 2;
const END = 3;
const FAILED = 4;
const CONSUMED = 5;
const HINT = 6;
const PUSH = 7;
const FILE = 8;
const BLOCK = 9;
const DEBUG = 10;
const ACCEPT = 11;
const TEXT = 12;
const BINARY = 13;
const CLOSE = 14;
/** From here on what belongs to no exchange; NOTICE is 16. */
const SETTLED = 15;
/** node/response_writer.cc: how many values an event of each kind has */
const VALUES = [2, 1, 1, 2, 1, 0, 1, 2, 2, 1, 1, 2, 1, 1, 1, 2, 2];
/** node/response_writer.h, kNumbers */
const NUMBERS = 3;
/** Requests that may share one wake-up of the Python thread. */
const FLUSH_AFTER = 16;

/**
 * What waits for a response. Bodies come as Buffers, as latin-1 strings when they are small, or undefined when empty.
 * @typedef {object} Receiver
 * @property {number} slot -1 once the last event has come or the receiver has left
 * @property {(status: number, headers: string, body: Buffer | string | undefined) => void} onWhole
 * @property {(status: number, headers: string) => void} onStart
 * @property {(body: Buffer | string) => void} onChunk
 * @property {(body: Buffer | string | undefined, trailers: string) => void} onEnd
 * @property {(error: Error) => void} onFailed
 * @property {(bytes: number) => void} onConsumed 0: the app wants the first of the request body
 * @property {(links: string[]) => void} [onHint] this and the following: where the request's flags offer it
 * @property {(path: string, headers: string) => void} [onPush]
 * @property {(fd: number, offset: number, bytes: number) => void} [onFile] the receiver closes the descriptor
 * @property {(block: LentBlock, bytes: number) => void} [onBlock] the receiver gives it back
 * @property {(json: string) => void} [onDebug]
 * @property {(subprotocol: string, headers: string) => void} [onAccept] this and the following: of a WebSocket
 * @property {(body: Buffer | string | undefined, binary: boolean) => void} [onMessage]
 * @property {(code: number, reason: string) => void} [onClose]
 */

/** @type {(Receiver | undefined)[]} */
const slots = [];
/** Of the requests that somebody watches, by slot. @type {Map<number, Trace>} */
const traces = new Map();
/** @type {Map<number, {resolve: (json: string) => void, reject: (error: Error) => void}>} */
const calls = new Map();
/** @type {Map<number, (level: string, error: Error) => void>} */
const listeners = new Map();
let held = 0;
let nextCall = 1;
let nextHandler = 1;

const mailbox = new binding.Mailbox(onBatch);
/** Whether this environment allows Buffers of native memory, which lentBlock() needs. */
const lends = mailbox.lends();

/** Keeps the process alive until release(). */
function hold() {
  if (held++ === 0) mailbox.ref();
}

function release() {
  if (--held === 0) mailbox.unref();
}

function onBatch(count, numbers, ...values) {
  let next = 0;
  for (let i = 0; i < count * NUMBERS; i += NUMBERS) {
    const kind = numbers[i];
    const slot = numbers[i + 1];
    const number = numbers[i + 2];
    // Read before anything is called: what an event carries depends on its kind alone.
    const first = values[next];
    const second = values[next + 1];
    next += VALUES[kind];
    try {
      deliver(kind, slot, number, first, second);
    } catch (error) {
      // A listener's own error: like any other uncaught exception, but not in the middle of the batch.
      process.nextTick(() => {
        throw error;
      });
    }
  }
}

function deliver(kind, slot, number, first, second) {
  if (kind >= SETTLED) {
    if (kind === SETTLED) settle(number, first, second);
    else notice(number, first, second);
    return;
  }
  const receiver = slots[slot];
  if (receiver === undefined) {
    if (kind === FILE) fs.closeSync(number);
    else if (kind === BLOCK) mailbox.giveBlock(first);
    return;
  }
  if (traces.size > 0) observe(kind, slot, number, first);
  switch (kind) {
    case WHOLE:
      forget(receiver);
      receiver.onWhole(number, first, second);
      break;
    case START:
      receiver.onStart(number, first);
      break;
    case CHUNK:
      receiver.onChunk(first);
      break;
    case END:
      forget(receiver);
      receiver.onEnd(first, second);
      break;
    case FAILED:
      forget(receiver);
      receiver.onFailed(fromFailure(first));
      break;
    case CONSUMED:
      receiver.onConsumed(number);
      break;
    case HINT:
      receiver.onHint(first.split('\n'));
      break;
    case PUSH:
      receiver.onPush(first, second);
      break;
    case FILE:
      receiver.onFile(number, first, second);
      break;
    case BLOCK:
      receiver.onBlock(lentBlock(first), number);
      break;
    case DEBUG:
      receiver.onDebug(first);
      break;
    case ACCEPT:
      receiver.onAccept(first, second);
      break;
    case TEXT:
      receiver.onMessage(first, false);
      break;
    case BINARY:
      receiver.onMessage(first, true);
      break;
    case CLOSE:
      forget(receiver);
      receiver.onClose(number, first);
      break;
  }
}

/**
 * A block of native memory (bridge/body_blocks.h). Nobody may look at it any more once it has been given back.
 * @typedef {{memory: Buffer, give: () => void}} LentBlock
 */
/** @type {LentBlock[]} by number */
const lentBlocks = [];

/** @param {number} index */
function lentBlock(index) {
  return lentBlocks[index] ??= { memory: mailbox.block(index), give: () => mailbox.giveBlock(index) };
}

function observe(kind, slot, number, failure) {
  const trace = traces.get(slot);
  if (trace === undefined) return;
  if (kind === WHOLE || kind === START) trace.start(number);
  else if (kind === ACCEPT) trace.start(101);
  else if (kind === FAILED) trace.fail(fromFailure(failure));
}

/** @param {Receiver} receiver */
function forget(receiver) {
  if (traces.size > 0) {
    traces.get(receiver.slot)?.end();
    traces.delete(receiver.slot);
  }
  slots[receiver.slot] = undefined;
  receiver.slot = -1;
  release();
}

function settle(token, json, failure) {
  const call = calls.get(token);
  if (!call) return;
  calls.delete(token);
  if (failure) call.reject(fromFailure(failure));
  else call.resolve(json);
}

function notice(handler, level, failure) {
  const listener = listeners.get(handler) ?? listeners.values().next().value;
  listener?.(level, level === 'log' ? JSON.parse(failure.message) : fromFailure(failure));
}

/**
 * Starts a request. Throws when the handler is closed or busy.
 * @param {object} native the addon's PythonHandler
 * @param {{head: string, body?: Uint8Array, complete: boolean, abilities: number, extra?: string, tls?: string}} request
 * @param {Receiver} receiver
 * @param {boolean} [batch] whether more requests are likely to follow in this turn of the event loop
 */
function start(native, request, receiver, batch = false) {
  // With others in flight, the requests that one turn of the event loop reads from its sockets share one wake-up of
  // Python; alone, waiting for the end of the turn would only cost time.
  const later = batch && held > 0;
  const flags = request.abilities | (request.complete ? COMPLETE : 0) | (later ? LATER : 0);
  const slot = native.start(request.head, request.body, flags, request.extra, request.tls);
  if (slot < 0) {
    throw slot === -1
      ? create('ERR_ASGI_BUSY', 'maxConcurrency requests are in flight')
      : create('ERR_ASGI_CLOSED', 'the handler is closed');
  }
  if (later) flushSoon();
  slots[slot] = receiver;
  receiver.slot = slot;
  if (isWatched()) traces.set(slot, new Trace(request.head, request.abilities));
  hold();
}

let unflushed = 0;

function flushSoon() {
  if (unflushed++ === 0) setImmediate(flush);
  // Python may begin on these while more are read.
  else if (unflushed % FLUSH_AFTER === 0) binding.flushRuntime();
}

function flush() {
  unflushed = 0;
  binding.flushRuntime();
}

/**
 * The receiver wants nothing more: tells the app that its client is gone.
 * @param {Receiver} receiver
 * @param {number} [code] of a WebSocket's close
 * @param {string} [reason]
 */
function leave(receiver, code, reason) {
  if (receiver.slot < 0) return;
  mailbox.disconnect(receiver.slot, code, reason);
  const trace = traces.size > 0 ? traces.get(receiver.slot) : undefined;
  if (trace !== undefined) trace.message.disconnected = true;
  forget(receiver);
}

/**
 * A call of the control plane.
 * @param {(token: number) => void} begin
 * @returns {Promise<string>}
 */
function call(begin) {
  return new Promise((resolve, reject) => {
    const token = nextCall++;
    calls.set(token, { resolve, reject });
    begin(token);
  });
}

/**
 * Numbers a handler and hears of its notices.
 * @param {(level: string, error: Error) => void} listener
 */
function addHandler(listener) {
  const id = nextHandler++;
  listeners.set(id, listener);
  return id;
}

/** @param {number} id */
function removeHandler(id) {
  listeners.delete(id);
  if (spins.delete(id)) applySpin();
}

/** How long handlers that are open want both threads to look for work: microseconds by handler. @type {Map<number, number>} */
const spins = new Map();

/** @param {number} id @param {number} microseconds */
function spin(id, microseconds) {
  if (microseconds === 0) return;
  spins.set(id, microseconds);
  applySpin();
}

function applySpin() {
  mailbox.spin(Math.max(0, ...spins.values()));
}

module.exports = { mailbox, lends, hold, release, start, leave, call, addHandler, removeHandler, spin };
