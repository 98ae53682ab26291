'use strict';

/**
 * Every error of the library. `codes` is the table: each code has its row in docs/errors.md, its type in
 * index.d.ts and its test.
 */

/** @type {Record<string, {status: number, about: string}>} HTTP status that listener() answers with, and meaning */
const codes = {
  ERR_PYTHON_NOT_FOUND: { status: 500, about: 'no usable Python was found' },
  ERR_PYTHON_UNUSABLE: { status: 500, about: 'the Python that was asked for cannot be used' },
  ERR_PYTHON_NO_SHARED_LIBRARY: { status: 500, about: 'the Python has no shared library' },
  ERR_PYTHON_LIBRARY: { status: 500, about: 'libpython could not be loaded' },
  ERR_PYTHON_MISMATCH: { status: 500, about: 'the process already runs another Python' },
  ERR_PYTHON_START: { status: 500, about: 'Python did not start' },
  ERR_PYTHON_LOOP: { status: 500, about: 'the event loop ended' },
  ERR_PYTHON_EXCEPTION: { status: 500, about: 'the app raised an exception' },
  ERR_PYTHON_UNHANDLED: { status: 500, about: 'an exception that nothing awaits' },
  ERR_PYTHON_LOOP_BLOCKED: { status: 500, about: 'something blocks the event loop' },
  ERR_PYTHON_SIGNAL_HANDLER: { status: 500, about: 'the app took a signal from Node' },
  ERR_ASGI_BINARY: { status: 500, about: 'the native addon could not be loaded' },
  ERR_ASGI_OPTION: { status: 500, about: 'an option has a value it cannot have' },
  ERR_ASGI_TARGET: { status: 500, about: 'the target is malformed' },
  ERR_ASGI_MODULE_NOT_FOUND: { status: 500, about: "the target's module does not exist" },
  ERR_ASGI_MODULE_CLASH: { status: 500, about: 'another module of that name is loaded already' },
  ERR_ASGI_APP_NOT_FOUND: { status: 500, about: "the target's module has no such app" },
  ERR_ASGI_STARTUP: { status: 500, about: 'the app could not be imported or started' },
  ERR_ASGI_RELOAD: { status: 500, about: 'the app cannot be reloaded' },
  ERR_ASGI_LIFESPAN: { status: 500, about: 'the lifespan task failed while the app was served' },
  ERR_ASGI_REQUEST: { status: 400, about: 'the request has a value it cannot have' },
  ERR_ASGI_BODY_CONSUMED: { status: 500, about: 'a body parser has already read the request body' },
  ERR_ASGI_BODY_TOO_LARGE: { status: 413, about: 'the request body exceeds maxBodyBytes' },
  ERR_ASGI_MESSAGE_TOO_LARGE: { status: 413, about: 'a WebSocket message exceeds maxMessageBytes' },
  ERR_ASGI_WEBSOCKET_REFUSED: { status: 403, about: 'the app refused a WebSocket' },
  ERR_ASGI_NO_RESPONSE: { status: 500, about: 'the app returned without a response' },
  ERR_ASGI_INCOMPLETE_RESPONSE: { status: 500, about: 'the app returned in the middle of its response' },
  ERR_ASGI_RETURN_VALUE: { status: 500, about: 'the app returned a value' },
  ERR_ASGI_TIMEOUT: { status: 504, about: 'a timeout passed' },
  ERR_ASGI_BUSY: { status: 503, about: 'maxConcurrency is reached' },
  ERR_ASGI_CLOSED: { status: 503, about: 'the handler is closed' },
};

/** An error of the library or of the app's Python. */
class NodeAsgiError extends Error {
  /**
   * @param {string} code a key of `codes`
   * @param {string} message
   */
  constructor(code, message) {
    super(message);
    this.code = code;
  }

  get name() {
    return this.constructor.name;
  }

  /** The HTTP status that listener() answers with for this error. */
  get status() {
    return codes[this.code]?.status ?? 500;
  }
}

/** An exception that Python raised. */
class PythonError extends NodeAsgiError {
  /**
   * @param {{code: string, message: string, pythonType: string, traceback?: string, frames?: object[]}} init
   */
  constructor({ code, message, pythonType, traceback = '', frames = [] }) {
    super(code, message ? `${pythonType}: ${message}` : pythonType);
    this.pythonType = pythonType;
    this.pythonMessage = message;
    this.traceback = traceback;
    this.frames = frames;
    /** @type {PythonError[]} members of an ExceptionGroup */
    this.errors = [];
    // The Python traceback says more than the JavaScript stack, which only shows that an answer came in.
    if (traceback) this.stack = `${this.name}: ${this.message}\n${traceback.trimEnd()}`;
  }
}

/**
 * @param {string} code
 * @param {string} message
 * @param {object} [extra] properties to add, `cause` included
 * @returns {NodeAsgiError}
 */
function create(code, message, extra) {
  return Object.assign(new NodeAsgiError(code, message), extra);
}

/**
 * @param {{type: string, message: string, frames: object[], cause?: object, errors?: object[]}} details as
 *   errors.py makes them
 * @param {string} code
 * @param {string} [traceback]
 */
function fromDetails(details, code, traceback) {
  const error = new PythonError({
    code, message: details.message, pythonType: details.type, traceback, frames: details.frames,
  });
  if (details.cause) error.cause = fromDetails(details.cause, code);
  if (details.errors) error.errors = details.errors.map((inner) => fromDetails(inner, code));
  return error;
}

/**
 * @param {{code: string, message: string, pythonType: string, traceback: string, details: string}} failure as the
 *   addon makes it
 * @returns {NodeAsgiError}
 */
function fromFailure(failure) {
  if (!failure.pythonType) return create(failure.code, failure.message);
  const details = failure.details ? JSON.parse(failure.details) : {};
  // The app cannot be found: the library's own finding, not an exception of the app.
  if (details.code) return create(details.code, failure.message, { traceback: failure.traceback });
  return fromDetails({ frames: [], ...details, type: failure.pythonType, message: failure.message }, failure.code,
    failure.traceback);
}

/** @param {number} limit bytes */
function tooLarge(limit) {
  return create('ERR_ASGI_BODY_TOO_LARGE', `the request body has more than ${limit} bytes (option maxBodyBytes)`);
}

module.exports = { tooLarge, codes, NodeAsgiError, PythonError, create, fromFailure };
