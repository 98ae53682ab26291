'use strict';

/** Sends the same bytes to uvicorn and to node-asgi behind node:http, and compares all that comes of them. */

const { createHash } = require('node:crypto');
const http = require('node:http');
const path = require('node:path');

const { PythonHandler } = require('../..');
const { IncompleteResponse, RawConnection } = require('./raw-http');
const { listen } = require('./servers');
const { ROOT, startUvicorn } = require('./uvicorn');

const DOCROOT = path.join(ROOT, 'fixtures', 'differential');
const TARGET = 'planned:app';
const LARGEST_SHOWN_BODY = 8 * 1024;

/**
 * @typedef {object} Answer one response, as far as it is compared
 * @property {number} status
 * @property {string} reason
 * @property {string[]} headers `name: value`, names as sent, in order
 * @property {any} body text as latin-1, the parsed answer of the app's own report, or size and digest
 * @property {string} framing
 * @property {number[]} informational the statuses of 1xx responses before it
 * @property {boolean} whole false when the connection broke off in the body
 */

/**
 * @typedef {object} Outcome what became of one case on one server
 * @property {(Answer | 'no answer')[]} answers
 * @property {boolean} open whether the connection takes another request
 * @property {{scope: any, events: any[], raised: string[]}[]} seen what the app has seen of each request
 */

/**
 * @typedef {object} Difference an accepted difference. One of the functions is there, or none when the cases that show
 *   it state both outcomes.
 * @property {string} id as in docs/differences.md, which says what both do and why that is accepted
 * @property {(ours: any, theirs: any) => boolean} [scope] makes two scopes alike in this one respect, and tells
 *   whether they were not
 * @property {(ours: Answer, theirs: Answer) => boolean} [answer] the same for two answers
 */

const names = (answer) => answer.headers.map((header) => header.slice(0, header.indexOf(':')).toLowerCase());

/** Takes the fields that a server adds of itself out of an answer. */
function take(answer, name, pattern = /^/) {
  const prefix = `${name}: `;
  const before = answer.headers.length;
  answer.headers = answer.headers.filter(
    (header) => !(header.toLowerCase().startsWith(prefix) && pattern.test(header.slice(prefix.length))),
  );
  return answer.headers.length < before;
}

/**
 * Edits uvicorn's fields, where that makes them ours.
 * @param {any} ours @param {any} theirs @param {(field: any) => boolean | void} edit false drops the field
 */
function settleFields(ours, theirs, edit) {
  const wanted = JSON.stringify(ours.headers);
  const edited = JSON.parse(JSON.stringify(theirs.headers)).filter((field) => edit(field) !== false);
  if (JSON.stringify(theirs.headers) === wanted || JSON.stringify(edited) !== wanted) return false;
  theirs.headers = edited;
  return true;
}

/** Takes a key out of both, where its values are those expected. */
function settleKey(ours, theirs, key, isOurs, isTheirs) {
  if (!isOurs(ours[key]) || !isTheirs(theirs[key])) return false;
  delete ours[key];
  delete theirs[key];
  return true;
}

/** @type {Difference[]} */
const ACCEPTED = [
  {
    id: 'spec-version',
    scope: (ours, theirs) => settleKey(ours.asgi, theirs.asgi, 'spec_version', (v) => v === '2.5', (v) => v === '2.3'),
  },
  {
    id: 'extensions',
    scope: (ours, theirs) => settleKey(ours, theirs, 'extensions', (v) => v && typeof v === 'object', (v) => v === undefined),
  },
  {
    id: 'state',
    scope: (ours, theirs) =>
      settleKey(ours, theirs, 'state', (v) => v === undefined, (v) => v && Object.keys(v).length === 0),
  },
  {
    id: 'node-fields',
    answer(ours, theirs) {
      return [['date'], ['connection', /^(keep-alive|close)$/], ['keep-alive', /^timeout=\d+$/]]
        .map(([name, pattern]) => !names(theirs).includes(name) && take(ours, name, pattern)).some(Boolean);
    },
  },
  {
    id: 'refusal',
    answer(ours, theirs) {
      if (ours.status !== 400 || theirs.body !== 'Invalid HTTP request received.') return false;
      for (const answer of [ours, theirs]) Object.assign(answer, { body: '', framing: 'close', headers: [] });
      return true;
    },
  },
  {
    id: 'old-http-framing',
    answer(ours, theirs) {
      if (ours.framing !== 'close' || theirs.framing !== 'chunked') return false;
      theirs.framing = 'close';
      return true;
    },
  },
  {
    id: 'trailing-white-space',
    scope: (ours, theirs) => settleFields(ours, theirs, (field) => { field[1].bytes = field[1].bytes.trimEnd(); }),
  },
  {
    id: 'request-trailers',
    scope: (ours, theirs) => settleFields(ours, theirs, (field) => field[0].bytes !== 'x-trailer'),
  },
  {
    id: 'upgrade',
    scope: (ours, theirs) => settleFields(ours, theirs, (field) => !/^upgrade$/i.test(field[1].bytes) && field[0].bytes !== 'upgrade'),
  },
  { id: 'absolute-form' },
  { id: 'host' },
  { id: 'expectation' },
  { id: 'bodiless' },
  { id: 'wrong-length' },
  { id: 'failure-before-body' },
  { id: 'failure-after-answer' },
  { id: 'message-after-end' },
  {
    id: 'case-of-names',
    answer(ours, theirs) {
      const before = ours.headers;
      ours.headers = before.map((header) => header.replace(/^[^:]+/, (name) => name.toLowerCase()));
      return before.some((header, i) => header !== ours.headers[i] && theirs.headers.includes(ours.headers[i]));
    },
  },
];

/** The entries of the table that have been seen at work. @type {Set<string>} */
const used = new Set();

/** What became of a case, in short: `200`, `200 broken`, `500 close`. @param {Outcome} outcome */
function summary({ answers, open }) {
  const each = answers.map((answer) => (answer === 'no answer' ? 'nothing' : `${answer.status}${answer.whole ? '' : ' broken'}`));
  return [...each, ...(open ? [] : ['close'])].join(' ');
}

/** For a case that is accepted to end in two ways: states both. @param {string} id @param {Outcome} ours @param {Outcome} theirs */
function summaries(id, ours, theirs) {
  if (!ACCEPTED.some((entry) => entry.id === id)) throw new Error(`no accepted difference has the id ${id}`);
  used.add(id);
  return { id, ours: summary(ours), theirs: summary(theirs) };
}

/**
 * The bytes of a request, exactly as given but for the line ends.
 * @param {string[]} lines the request line and the fields, as latin-1
 * @param {string | Buffer} [body] what follows the empty line
 */
function request(lines, body = '') {
  const content = typeof body === 'string' ? Buffer.from(body, 'latin1') : body;
  const bytes = Buffer.concat([Buffer.from([...lines, '', ''].join('\r\n'), 'latin1'), content]);
  return { bytes, method: lines[0].split(' ', 1)[0] };
}

/** @param {any[][]} steps of fixtures/differential/planned.py */
const planned = (...steps) => `X-Plan: ${JSON.stringify(steps).replace(/[^\x20-\x7e]/g,
  (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)}`;

/** A body in chunked framing, each piece with an optional extension. */
function chunked(pieces, { extension = '', trailers = [] } = {}) {
  const framed = pieces.map((piece) => `${piece.length.toString(16)}${extension}\r\n${piece}\r\n`);
  return `${framed.join('')}0\r\n${[...trailers, '', ''].join('\r\n')}`;
}

/** Ports are different by nature; that they are numbers is compared. */
function withoutPorts(record) {
  for (const end of [record.scope.client, record.scope.server]) end[1] = typeof end[1];
  return record;
}

/** @param {import('./raw-http').RawResponse} response @param {boolean} whole @returns {Answer} */
function readAnswer(response, whole) {
  const text = response.body.toString('latin1');
  const reports = response.headers.some(([name]) => name.toLowerCase() === 'x-answer');
  let body = text;
  if (reports && whole && text !== '') body = withoutPorts(JSON.parse(response.body.toString('utf8')));
  else if (text.length > LARGEST_SHOWN_BODY) {
    body = { size: text.length, sha256: createHash('sha256').update(response.body).digest('hex') };
  }
  return {
    status: response.status,
    reason: response.reason,
    // Framing is compared by itself: Node and uvicorn put the field in different places.
    headers: response.headers.filter(([name]) => name.toLowerCase() !== 'transfer-encoding')
      .map(([name, value]) => `${name}: ${value}`),
    body,
    framing: response.framing,
    informational: response.informational.map(({ status }) => status),
    whole,
  };
}

/** @param {RawConnection} connection @param {string} method @returns {Promise<Answer | 'no answer'>} */
async function nextAnswer(connection, method) {
  try {
    return readAnswer(await connection.readResponse({ method }), true);
  } catch (error) {
    if (!(error instanceof IncompleteResponse)) throw error;
    return error.partial.status === undefined ? 'no answer' : readAnswer(error.partial, false);
  }
}

/** A server, and what its app has seen. */
class Subject {
  /** @param {number} port */
  constructor(port) {
    this.port = port;
  }

  /**
   * @param {{ requests: { bytes: Buffer, method: string }[], pipelined?: boolean, steps?: Buffer[] }} exchange
   * @returns {Promise<Outcome>}
   */
  async run({ requests, pipelined = false }) {
    const connection = await RawConnection.open(this.port);
    const answers = [];
    // A server may close before it has read everything: its answer counts, not the failed write.
    const write = (bytes) => { connection.write(bytes).catch(() => {}); };
    let open;
    try {
      if (pipelined) write(Buffer.concat(requests.map(({ bytes }) => bytes)));
      for (const { bytes, method } of requests) {
        if (!pipelined) write(bytes);
        answers.push(await nextAnswer(connection, method));
        if (answers.at(-1) === 'no answer') break;
      }
      open = await this.#isOpen(connection, write);
    } finally {
      connection.destroy();
    }
    return { answers, open, seen: await this.seen() };
  }

  /** A further request tells without waiting whether the connection is alive and at the start of a request. */
  async #isOpen(connection, write) {
    write(request(['GET /-/probe HTTP/1.1', 'Host: example.test']).bytes);
    const answer = await nextAnswer(connection, 'GET');
    if (answer === 'no answer') return false;
    if (answer.status !== 200 || answer.body !== 'probe') {
      throw new Error(`the connection is out of step: ${JSON.stringify(answer)}`);
    }
    return true;
  }

  /** What the app has seen since the last time, over a connection of its own. */
  async seen() {
    const connection = await RawConnection.open(this.port);
    try {
      await connection.write(request(['GET /-/seen HTTP/1.1', 'Host: example.test', 'Connection: close']).bytes);
      return JSON.parse((await connection.readResponse()).body.toString('utf8')).seen.map(withoutPorts);
    } finally {
      connection.destroy();
    }
  }
}

/** Makes what both have answered alike in every respect that is accepted. @param {any} ours @param {any} theirs */
function settle(ours, theirs, field) {
  for (const entry of ACCEPTED) if (entry[field]?.(ours, theirs)) used.add(entry.id);
}

/**
 * Settles the accepted differences of two outcomes, in place.
 * @param {Outcome} ours
 * @param {Outcome} theirs
 */
function settleOutcomes(ours, theirs) {
  const pairs = (left, right) => left.slice(0, right.length).map((one, index) => [one, right[index]]);
  const settleScopes = (one, other) => {
    if (one?.scope && other?.scope) settle(one.scope, other.scope, 'scope');
  };
  for (const [one, other] of pairs(ours.seen, theirs.seen)) settleScopes(one, other);
  for (const [one, other] of pairs(ours.answers, theirs.answers)) {
    if (one === 'no answer' || other === 'no answer') continue;
    settleScopes(one.body, other.body);
    settle(one, other, 'answer');
  }
}

/**
 * Starts both servers.
 * @returns {Promise<{ ours: Subject, theirs: Subject, errors: string[], close(): Promise<void> }>}
 */
async function startBoth() {
  const handler = new PythonHandler({ docroot: DOCROOT, target: TARGET });
  const errors = [];
  handler.on('error', (error) => errors.push(error.code));
  handler.on('warning', () => {}); // of return values, which some cases are about
  const closing = [() => handler.close()];
  const close = async () => {
    while (closing.length > 0) await closing.pop()();
  };
  const before = process.env.UVICORN_HTTP;
  process.env.UVICORN_HTTP = 'httptools'; // what --http is: uvicorn reads its options there too
  const starting = [startUvicorn({ docroot: DOCROOT, target: TARGET }), handler.ready()];
  if (before === undefined) delete process.env.UVICORN_HTTP;
  else process.env.UVICORN_HTTP = before;
  const [reference, ready] = await Promise.allSettled(starting);
  if (reference.value) closing.push(() => reference.value.close());
  if (reference.reason ?? ready.reason) {
    await close();
    throw reference.reason ?? ready.reason;
  }
  const server = http.createServer(handler.listener());
  handler.attach(server);
  const listening = await listen(server);
  closing.push(() => listening.close());
  return { ours: new Subject(listening.port), theirs: new Subject(reference.value.port), errors, close };
}

module.exports = {
  ACCEPTED, chunked, planned, request, settleOutcomes, startBoth, summaries, used,
};
