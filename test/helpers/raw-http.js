'use strict';

const net = require('node:net');

const CRLF = Buffer.from('\r\n');
const DEFAULT_TIMEOUT_MS = 15_000;

/**
 * One HTTP/1.1 response as it came over the wire.
 *
 * @typedef {object} RawResponse
 * @property {number} status
 * @property {string} reason
 * @property {[string, string][]} headers  names and values as sent, in order, decoded as latin-1
 * @property {Buffer} body                 without chunked framing
 * @property {'none'|'length'|'chunked'|'close'} framing
 * @property {Buffer[]} chunks             the chunks of a chunked body
 * @property {[string, string][]} trailers
 * @property {RawResponse[]} informational responses 1xx that came before
 */

/** The peer ended the connection before the response was whole. */
class IncompleteResponse extends Error {
  /** @param {string} message @param {Partial<RawResponse>} partial */
  constructor(message, partial) {
    super(message);
    this.name = 'IncompleteResponse';
    this.partial = partial;
  }
}

/** A TCP connection that sends exactly the bytes it is given and reads one response at a time. */
class RawConnection {
  #socket;
  #chunks = [];
  #size = 0;
  #ended = false;
  #error = null;
  #wake = null;

  /** @param {net.Socket} socket */
  constructor(socket) {
    this.#socket = socket;
    const wake = () => { this.#wake?.(); this.#wake = null; };
    socket.on('data', (chunk) => { this.#chunks.push(chunk); this.#size += chunk.length; wake(); });
    socket.on('end', () => { this.#ended = true; wake(); });
    socket.on('close', () => { this.#ended = true; wake(); });
    socket.on('error', (error) => { this.#error = error; this.#ended = true; wake(); });
  }

  /** @param {number} port @returns {Promise<RawConnection>} */
  static open(port, host = '127.0.0.1') {
    return new Promise((resolve, reject) => {
      const socket = net.connect(port, host);
      socket.setNoDelay(true);
      socket.once('error', reject);
      socket.once('connect', () => { socket.off('error', reject); resolve(new RawConnection(socket)); });
    });
  }

  /** The local port, which the server sees as the client's. */
  get localPort() { return this.#socket.localPort; }

  /** True once the peer has ended its side. */
  get ended() { return this.#ended; }

  /** Resolves when the bytes were handed to the kernel; stays pending while the peer does not read. */
  write(bytes) {
    return new Promise((resolve, reject) => {
      this.#socket.write(bytes, (error) => (error ? reject(error) : resolve()));
    });
  }

  /** Stops reading, so that the peer's send buffer fills. */
  pause() { this.#socket.pause(); }

  resume() { this.#socket.resume(); }

  /** Closes our side politely. */
  end() { this.#socket.end(); }

  /** Closes the connection at once. */
  destroy() { this.#socket.destroy(); }

  /** Closes the connection with a TCP reset. */
  reset() { this.#socket.resetAndDestroy(); }

  /** Resolves when the peer has closed the connection. */
  async closed({ timeout = DEFAULT_TIMEOUT_MS } = {}) {
    const deadline = Date.now() + timeout;
    while (!this.#ended) await this.#more(deadline, 'the end of the connection');
  }

  /**
   * Reads the next whole response; 1xx responses before it are collected in `informational`.
   *
   * @param {{ method?: string, timeout?: number, onHead?: (head: RawResponse) => void,
   *   onData?: (data: Buffer) => void }} [options] `method` of the request, as HEAD has no body
   * @returns {Promise<RawResponse>}
   */
  async readResponse({ method = 'GET', timeout = DEFAULT_TIMEOUT_MS, onHead, onData } = {}) {
    const deadline = Date.now() + timeout;
    const informational = [];
    for (;;) {
      const response = await this.#readHead(deadline);
      if (response.status >= 100 && response.status < 200 && response.status !== 101) {
        informational.push(response);
        continue;
      }
      response.informational = informational;
      onHead?.(response);
      await this.#readBody(response, method, deadline, onData);
      return response;
    }
  }

  async #readHead(deadline) {
    const line = (await this.#readLine(deadline, 'a status line')).toString('latin1');
    const status = /^HTTP\/1\.[01] (\d{3})(?: (.*))?$/.exec(line);
    if (!status) throw new Error(`not a status line: ${JSON.stringify(line)}`);
    const headers = await this.#readFields(deadline);
    return {
      status: Number(status[1]), reason: status[2] ?? '', headers, body: Buffer.alloc(0), framing: 'none', chunks: [],
      trailers: [], informational: [],
    };
  }

  async #readFields(deadline) {
    const fields = [];
    for (;;) {
      const line = (await this.#readLine(deadline, 'a header')).toString('latin1');
      if (line === '') return fields;
      const colon = line.indexOf(':');
      if (colon < 1) throw new Error(`not a header: ${JSON.stringify(line)}`);
      fields.push([line.slice(0, colon), line.slice(colon + 1).replace(/^[ \t]+|[ \t]+$/g, '')]);
    }
  }

  async #readBody(response, method, deadline, onData) {
    if (method === 'HEAD' || response.status === 204 || response.status === 304) return;
    const codings = headerValues(response, 'transfer-encoding').map((value) => value.toLowerCase());
    const lengths = headerValues(response, 'content-length');
    const parts = [];
    const take = (data) => { parts.push(data); if (data.length > 0) onData?.(data); };
    try {
      if (codings.includes('chunked')) {
        response.framing = 'chunked';
        if (lengths.length > 0) throw new Error('both content-length and chunked framing');
        for (;;) {
          const size = parseInt((await this.#readLine(deadline, 'a chunk size')).toString('latin1'), 16);
          if (!Number.isInteger(size)) throw new Error('not a chunk size');
          if (size === 0) break;
          const chunk = await this.#read(size, deadline);
          if (!(await this.#read(2, deadline)).equals(CRLF)) throw new Error('a chunk does not end with CRLF');
          response.chunks.push(chunk);
          take(chunk);
        }
        response.trailers = await this.#readFields(deadline);
      } else if (lengths.length > 0) {
        response.framing = 'length';
        if (lengths.length > 1 || !/^\d+$/.test(lengths[0])) throw new Error(`bad content-length: ${lengths}`);
        let left = Number(lengths[0]);
        while (left > 0) {
          const data = await this.#readSome(left, deadline);
          left -= data.length;
          take(data);
        }
      } else {
        response.framing = 'close';
        for (;;) {
          if (this.#size > 0) take(await this.#readSome(this.#size, deadline));
          else if (this.#ended) break;
          else await this.#more(deadline, 'the end of the body');
        }
        if (this.#error) throw this.#error;
      }
    } catch (error) {
      response.body = Buffer.concat(parts);
      if (error instanceof IncompleteResponse) error.partial = response;
      throw error;
    }
    response.body = Buffer.concat(parts);
  }

  async #readLine(deadline, what) {
    let from = 0;
    for (;;) {
      const all = this.#merged();
      const end = all.indexOf(CRLF, from);
      if (end >= 0) {
        this.#consume(end + 2);
        return all.subarray(0, end);
      }
      from = Math.max(0, all.length - 1);
      await this.#more(deadline, what);
    }
  }

  async #read(size, deadline) {
    while (this.#size < size) await this.#more(deadline, `${size - this.#size} more bytes of the body`);
    const data = this.#merged().subarray(0, size);
    this.#consume(size);
    return data;
  }

  async #readSome(most, deadline) {
    while (this.#size === 0) await this.#more(deadline, `up to ${most} more bytes of the body`);
    const data = this.#merged().subarray(0, most);
    this.#consume(data.length);
    return data;
  }

  #merged() {
    if (this.#chunks.length !== 1) this.#chunks = [Buffer.concat(this.#chunks)];
    return this.#chunks[0];
  }

  #consume(size) {
    const rest = this.#merged().subarray(size);
    this.#chunks = rest.length > 0 ? [rest] : [];
    this.#size = rest.length;
  }

  async #more(deadline, what) {
    if (this.#ended) {
      const cause = this.#error ? ` (${this.#error.code})` : '';
      throw new IncompleteResponse(`the connection ended${cause}, expected ${what}`, {});
    }
    let timer;
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => {
        const seen = this.#merged().subarray(0, 200).toString('latin1');
        reject(new Error(`timed out waiting for ${what}; unread: ${JSON.stringify(seen)}`));
      }, Math.max(0, deadline - Date.now()));
    });
    try {
      await Promise.race([new Promise((resolve) => { this.#wake = resolve; }), late]);
    } finally {
      clearTimeout(timer);
    }
  }
}

/** All values of one header, by case-insensitive name, in order. @param {RawResponse} response */
function headerValues(response, name) {
  return response.headers.filter(([key]) => key.toLowerCase() === name.toLowerCase()).map(([, value]) => value);
}

/**
 * The bytes of a request. Nothing is added but Host and, for a body, its framing.
 *
 * @param {{ method?: string, target?: string, version?: string, host?: string|null, headers?: [string, string][],
 *   body?: string|Buffer|Buffer[] }} request  a `body` that is an array is sent as one chunk per item
 * @returns {Buffer}
 */
function requestBytes({ method = 'GET', target = '/', version = '1.1', host = 'example.test', headers = [], body }) {
  const fields = host === null ? [] : [['Host', host]];
  fields.push(...headers);
  let content = Buffer.alloc(0);
  if (Array.isArray(body)) {
    fields.push(['Transfer-Encoding', 'chunked']);
    content = Buffer.concat([...body.map(chunkBytes), Buffer.from('0\r\n\r\n')]);
  } else if (body !== undefined) {
    content = Buffer.from(body);
    fields.push(['Content-Length', String(content.length)]);
  }
  const lines = [`${method} ${target} HTTP/${version}`, ...fields.map(([name, value]) => `${name}: ${value}`), '', ''];
  return Buffer.concat([Buffer.from(lines.join('\r\n'), 'latin1'), content]);
}

/** One chunk in chunked framing. @param {string|Buffer} data */
function chunkBytes(data) {
  const bytes = Buffer.from(data);
  return Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, CRLF]);
}

/**
 * Sends one request on a connection of its own and reads the answer.
 *
 * @param {number} port
 * @param {Parameters<typeof requestBytes>[0]} request
 * @param {{ timeout?: number }} [options]
 */
async function fetchRaw(port, request, options = {}) {
  const connection = await RawConnection.open(port);
  try {
    // A server may answer before it has read the whole body and close: the answer counts, not the failed write.
    const written = connection.write(requestBytes(request)).catch(() => {});
    const response = await connection.readResponse({ method: request.method, ...options });
    await Promise.race([written, new Promise((resolve) => { setImmediate(resolve); })]);
    return response;
  } finally {
    connection.destroy();
  }
}

module.exports = { RawConnection, IncompleteResponse, fetchRaw, requestBytes, chunkBytes, headerValues };
