'use strict';

/**
 * The same bytes for uvicorn and for node-asgi behind node:http, with the same app: status, fields, body, framing, what
 * becomes of the connection, and all the app has seen must be equal. Accepted differences are listed in
 * docs/differences.md with their reasons.
 */

const fs = require('node:fs');
const path = require('node:path');

const {
  ACCEPTED, chunked, planned, request, settleOutcomes, startBoth, summaries, used,
} = require('../helpers/differential');
const { ROOT } = require('../helpers/uvicorn');

const HOST = 'Host: example.test';

/** One request: the request line, further fields, a body. */
const one = (line, fields = [], body = undefined) => [request([line, HOST, ...fields], body)];
const get = (target, ...fields) => one(`GET ${target} HTTP/1.1`, fields);
const post = (body, ...fields) => one('POST /upload HTTP/1.1', [`Content-Length: ${body.length}`, ...fields], body);
const postChunked = (pieces, options, ...fields) =>
  one('POST /upload HTTP/1.1', ['Transfer-Encoding: chunked', ...fields], chunked(pieces, options));
const answering = (steps, ...fields) => get('/', planned(...steps), ...fields);
const several = (...lists) => lists.flat();

const every = (values, toCase) => Object.fromEntries(values.map((value) => toCase(value)));

/** @type {Record<string, any>} name → requests, or {requests, pipelined} */
const CASES = {
  // Request lines.
  ...every(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND', 'REPORT', 'MKCOL', 'LOCK',
    'PURGE', 'M-SEARCH', 'SEARCH', 'QUERY'], (method) => [`method ${method}`, one(`${method} /method HTTP/1.1`)]),
  'method in lower case': one('get / HTTP/1.1'),
  'method that nobody knows': one('BREW /pot HTTP/1.1'),
  'target *': one('OPTIONS * HTTP/1.1'),
  'target in absolute form': get('http://other.test/absolute?q=1'),
  'target in absolute form without a path': get('http://other.test'),
  ...every([
    '/', '//', '/a//b', '/a/./b', '/a/../b', '/%2e%2e/x', '/a%2Fb', '/a%20b', '/a+b', '/%C3%BC', '/%c3%bc', '/%E4%B8%AD',
    '/%FF', '/%', '/%1', '/%zz', '/a%00b', '/a;b=c', '/a:b@c', "/!$&'()*,=~", '/a%3Fb', '/a%23b', '/%25', '/%2525', '/a|b',
    '/a"b', '/a<b>', '/a^b`{}', '/a\\b', '/\xfc', '/?', '/?a=1', '/?a=1&a=2', '/?a=%20+&b', '/?%C3%BC=%FF', '/?a?b',
    '/?a=1#x', '/a#b', '/?a=[1]', '/?a=\xfc', '/a?b?c=/d', `/${'x'.repeat(4000)}`, `/?${'y'.repeat(4000)}`,
  ], (target) => [`target ${target.length > 40 ? `${target.slice(0, 8)}… of ${target.length} bytes` : target}`, get(target)]),
  'HTTP/1.0': [request(['GET / HTTP/1.0'])],
  'HTTP/1.0 with Host': [request(['GET / HTTP/1.0', HOST])],
  'HTTP/1.0 with keep-alive': [request(['GET / HTTP/1.0', HOST, 'Connection: keep-alive'])],
  'HTTP/1.0 upload': [request(['POST / HTTP/1.0', HOST, 'Content-Length: 3'], 'abc')],
  'HTTP/1.0 streamed answer': [request(['GET / HTTP/1.0', HOST,
    planned(['start', 200, []], ['body', 'a', true], ['body', 'b'])])],
  'HTTP/1.1 without Host': [request(['GET / HTTP/1.1'])],
  'two Host fields': [request(['GET / HTTP/1.1', HOST, 'Host: other.test'])],
  'an empty Host': [request(['GET / HTTP/1.1', 'Host:'])],
  'a Host with a port': [request(['GET / HTTP/1.1', 'Host: example.test:8080'])],
  'a Host that is an IPv6 address': [request(['GET / HTTP/1.1', 'Host: [::1]:80'])],

  // Fields of requests.
  'names in mixed case': get('/', 'X-Mixed-CASE: Value', 'ACCEPT: */*'),
  'repeated names': get('/', 'X-Twice: 1', 'X-Other: 2', 'X-Twice: 3'),
  'two cookies fields': get('/', 'Cookie: a=1', 'Cookie: b=2'),
  'latin-1 values': get('/', 'X-Latin: gr\xfc\xdfe'),
  'bytes of UTF-8 in a value': get('/', `X-Utf8: ${Buffer.from('zwölf').toString('latin1')}`),
  'white space around a value': get('/', 'X-Spaces:  \t a b \t '),
  'an empty value': get('/', 'X-Empty:'),
  'a tab inside a value': get('/', 'X-Tab: a\tb'),
  'a value of 4000 bytes': get('/', `X-Long: ${'v'.repeat(4000)}`),
  'a hundred fields': get('/', ...Array.from({ length: 100 }, (_, i) => `X-${i}: ${i}`)),
  'names of odd token characters': get('/', "X-!#$%&'*+.^_`|~: odd"),
  'a name with an underscore': get('/', 'x_under_score: 1'),
  'a name with a space': get('/', 'X Space: 1'),
  'a field without a colon': get('/', 'nothing'),
  'a space before the colon': get('/', 'X-Before : 1'),
  'a NUL in a value': get('/', 'X-Nul: a\0b'),
  'a folded value': get('/', 'X-Folded: a', ' b'),
  'a forwarded request': get('/', 'X-Forwarded-For: 192.0.2.1', 'X-Forwarded-Proto: https', 'X-Forwarded-Host: a.test'),
  'Connection: close': get('/', 'Connection: close'),
  'Connection: keep-alive': get('/', 'Connection: keep-alive'),
  'Accept-Encoding': get('/', 'Accept-Encoding: gzip, br'),
  'Range': get('/', 'Range: bytes=0-1'),
  'If-None-Match': get('/', 'If-None-Match: "x"'),
  'TE: trailers': get('/', 'TE: trailers'),
  'an upgrade that nobody offers': get('/', 'Connection: Upgrade', 'Upgrade: h2c'),

  // Bodies of requests.
  'an upload': post('hello'),
  'an empty upload': post(''),
  'an upload of all bytes': post(Buffer.from(Array.from({ length: 256 }, (_, i) => i)).toString('latin1')),
  'an upload of 1 MB': post('z'.repeat(1_000_000)),
  'a body with GET': one('GET / HTTP/1.1', ['Content-Length: 4'], 'body'),
  'a body with DELETE': one('DELETE / HTTP/1.1', ['Content-Length: 4'], 'body'),
  'a chunked upload': postChunked(['hello', ' ', 'world']),
  'a chunked upload of nothing': postChunked([]),
  'a chunked upload with extensions': postChunked(['a', 'b'], { extension: ';x=1' }),
  'a chunked upload with trailers': postChunked(['a'], { trailers: ['X-Trailer: 1'] }),
  'a chunked upload of many pieces': postChunked(Array.from({ length: 500 }, (_, i) => String(i))),
  'a chunked upload in mixed case': one('POST / HTTP/1.1', ['transfer-encoding: Chunked'], chunked(['a'])),
  'a chunk size in upper case': one('POST / HTTP/1.1', ['Transfer-Encoding: chunked'], `A\r\n${'x'.repeat(10)}\r\n0\r\n\r\n`),
  'a chunk size that is none': one('POST / HTTP/1.1', ['Transfer-Encoding: chunked'], 'zz\r\nabc\r\n0\r\n\r\n'),
  'Content-Length and Transfer-Encoding': one('POST / HTTP/1.1', ['Content-Length: 3', 'Transfer-Encoding: chunked'], chunked(['abc'])),
  'two equal Content-Length': one('POST / HTTP/1.1', ['Content-Length: 3', 'Content-Length: 3'], 'abc'),
  'two different Content-Length': one('POST / HTTP/1.1', ['Content-Length: 3', 'Content-Length: 4'], 'abcd'),
  'a negative Content-Length': one('POST / HTTP/1.1', ['Content-Length: -1'], 'abc'),
  'a Content-Length that is no number': one('POST / HTTP/1.1', ['Content-Length: x'], 'abc'),
  'a Content-Length with a plus': one('POST / HTTP/1.1', ['Content-Length: +3'], 'abc'),
  'Expect: 100-continue, read': one('POST / HTTP/1.1', ['Content-Length: 3', 'Expect: 100-continue'], 'abc'),
  'Expect of something else': one('POST / HTTP/1.1', ['Content-Length: 3', 'Expect: wonders'], 'abc'),
  'an upload that the app does not read': one('POST / HTTP/1.1',
    ['Content-Length: 3', planned(['start', 200, [['content-length', '2']]], ['body', 'ok'])], 'abc'),
  'an upload of 200 kB that the app does not read': one('POST / HTTP/1.1',
    ['Content-Length: 200000', planned(['start', 200, [['content-length', '2']]], ['body', 'ok'])], 'x'.repeat(200_000)),
  'receive() after the body is whole, once': one('POST / HTTP/1.1',
    ['Content-Length: 3', planned(['read'], ['answer'])], 'abc'),

  // Answers.
  ...every([200, 201, 202, 203, 206, 226, 299, 300, 301, 303, 307, 308, 400, 401, 403, 404, 405, 410, 418, 422, 429, 451, 500,
    501, 502, 503, 504, 511], (status) => [`status ${status}`,
    answering([['start', status, [['content-length', '1']]], ['body', 'x']])]),
  'status 204': answering([['start', 204, []], ['body']]),
  'status 204 with a body': answering([['start', 204, []], ['body', 'never']]),
  'status 304': answering([['start', 304, [['etag', '"x"']]], ['body']]),
  'status 304 with content-length': answering([['start', 304, [['content-length', '10']]], ['body']]),
  'status 205': answering([['start', 205, [['content-length', '0']]], ['body']]),
  'status without a known reason': answering([['start', 299, []], ['body', 'x']]),
  'status 599': answering([['start', 599, []], ['body', 'x']]),
  'no headers at all': answering([['start', 200], ['body', 'x']]),
  'an empty body': answering([['start', 200, []], ['body']]),
  'an empty body of an announced length': answering([['start', 200, [['content-length', '0']]], ['body']]),
  'a whole body without a length': answering([['start', 200, []], ['body', 'whole']]),
  'a streamed body': answering([['start', 200, []], ['body', 'a', true], ['wait'], ['body', 'b', true], ['body', 'c']]),
  'a streamed body of an announced length': answering([['start', 200, [['content-length', '3']]], ['body', 'a', true],
    ['body', 'b', true], ['body', 'c']]),
  'a streamed body that ends in nothing': answering([['start', 200, []], ['body', 'a', true], ['body', '', false]]),
  'empty pieces': answering([['start', 200, []], ['body', '', true], ['body', 'a', true], ['body', '', true], ['body', '']]),
  'a body of 1 MB': answering([['start', 200, []], ['repeat', 'abcdefgh', 125_000], ['body']]),
  'a bytearray': answering([['start', 200, []], ['body', 'x', false, 'bytearray']]),
  'cookies': answering([['start', 200, [['set-cookie', 'a=1'], ['x-between', '1'], ['set-cookie', 'b=2; HttpOnly']]], ['body']]),
  'repeated fields of an answer': answering([['start', 200, [['vary', 'a'], ['vary', 'b'], ['link', '<1>'], ['link', '<2>']]], ['body']]),
  'fields in mixed case': answering([['start', 200, [['X-Mixed', 'Value'], ['CONTENT-TYPE', 'text/plain']]], ['body', 'x']]),
  'a latin-1 value of an answer': answering([['start', 200, [['x-latin', 'gr\xfc\xdfe']]], ['body']]),
  'an empty value of an answer': answering([['start', 200, [['x-empty', '']]], ['body']]),
  'date and server of the app': answering([['start', 200,
    [['date', 'Thu, 01 Jan 1970 00:00:00 GMT'], ['server', 'theirs']]], ['body']]),
  'connection: close of the app': answering([['start', 200, [['connection', 'close']]], ['body', 'x']]),
  'transfer-encoding of the app': answering([['start', 200, [['transfer-encoding', 'chunked']]], ['body', 'x']]),
  'a location with UTF-8 bytes': answering([['start', 302, [['location', `/${Buffer.from('ü').toString('latin1')}`]]], ['body']]),
  'HEAD of a body': one('HEAD / HTTP/1.1', [planned(['start', 200, [['content-length', '5']]], ['body', 'hello'])]),
  'HEAD of a body without a length': one('HEAD / HTTP/1.1', [planned(['start', 200, []], ['body', 'hello'])]),
  'HEAD of a stream': one('HEAD / HTTP/1.1', [planned(['start', 200, []], ['body', 'a', true], ['body', 'b'])]),
  'HEAD of nothing': one('HEAD / HTTP/1.1', [planned(['start', 200, [['content-length', '0']]], ['body'])]),
  'HEAD of 404': one('HEAD / HTTP/1.1', [planned(['start', 404, []], ['body', 'no'])]),
  'more than the announced length': answering([['start', 200, [['content-length', '2']]], ['body', 'more']]),
  'less than the announced length': answering([['start', 200, [['content-length', '9']]], ['body', 'less']]),

  // Apps that do wrong.
  'an exception before the answer': answering([['raise']]),
  'an exception after the head': answering([['start', 200, []], ['raise']]),
  'an exception in the body': answering([['start', 200, []], ['body', 'a', true], ['wait'], ['raise']]),
  'an exception after the answer': answering([['start', 200, []], ['body', 'x'], ['raise']]),
  'no answer': answering([['return']]),
  'half an answer': answering([['start', 200, []], ['return']]),
  'an open answer': answering([['start', 200, []], ['body', 'a', true], ['return']]),
  'a return value': answering([['start', 200, []], ['body', 'x'], ['return', 'value']]),
  'a body before the start': answering([['attempt', ['body', 'x']], ['start', 200, []], ['body', 'x']]),
  'two starts': answering([['start', 200, []], ['attempt', ['start', 201, []]], ['body', 'x']]),
  'a message of no known type': answering([['attempt', ['message', { type: 'http.response.wonder' }]], ['start', 200, []], ['body', 'x']]),

  // Connections.
  'two requests': several(get('/1'), get('/2')),
  'two requests, pipelined': { requests: several(get('/1'), get('/2')), pipelined: true },
  'five requests, pipelined': { requests: several(get('/1'), get('/2'), get('/3'), get('/4'), get('/5')), pipelined: true },
  'uploads, pipelined': { requests: several(post('one'), post('two'), postChunked(['th', 'ree'])), pipelined: true },
  'a slow and a quick one, pipelined': {
    requests: several(answering([['wait'], ['wait'], ['start', 200, []], ['body', 'slow']]), get('/quick')), pipelined: true,
  },
  'a streamed answer and another request': several(answering([['start', 200, []], ['body', 'a', true], ['body', 'b']]), get('/')),
  'HEAD and another request': several(one('HEAD / HTTP/1.1'), get('/')),
  '204 and another request': several(answering([['start', 204, []], ['body']]), get('/')),
  '304 and another request': several(answering([['start', 304, []], ['body']]), get('/')),
  'an upload and another request': several(post('abc'), get('/')),
  'a chunked upload and another request': several(postChunked(['abc']), get('/')),
  'an unread upload and another request': several(one('POST / HTTP/1.1',
    ['Content-Length: 3', planned(['start', 200, [['content-length', '2']]], ['body', 'ok'])], 'abc'), get('/')),
  'a 404 and another request': several(answering([['start', 404, []], ['body', 'no']]), get('/')),
  'an exception and another request': several(answering([['raise']]), get('/')),
  'an exception after the answer and another request': several(answering([['start', 200, []], ['body', 'x'], ['raise']]), get('/')),
  'empty lines before a request': [request(['', '', 'GET / HTTP/1.1', HOST])].map((r) => ({ ...r, method: 'GET' })),
  'bare line feeds': [{ bytes: Buffer.from(`GET / HTTP/1.1\n${HOST}\n\n`), method: 'GET' }],
  'garbage': [{ bytes: Buffer.from('\x16\x03\x01garbage\r\n\r\n', 'latin1'), method: 'GET' }],
  'a version that nobody speaks': [request(['GET / HTTP/3.7', HOST])],
};

/** The cases whose whole outcome is accepted to differ: what becomes of them on either side. */
const DIFFERENT = {
  'target in absolute form without a path': { id: 'absolute-form', ours: '200', theirs: '400 close' },
  'HTTP/1.1 without Host': { id: 'host', ours: '400 close', theirs: '200' },
  'two Host fields': { id: 'host', ours: '400 close', theirs: '200' },
  'Expect of something else': { id: 'expectation', ours: '417', theirs: '200' },
  'status 204 with a body': { id: 'bodiless', ours: '204', theirs: '204 close' },
  'status 304 with content-length': { id: 'bodiless', ours: '304', theirs: '304 close' },
  'more than the announced length': { id: 'wrong-length', ours: '500 close', theirs: '200 broken close' },
  'less than the announced length': { id: 'wrong-length', ours: '500 close', theirs: '200 broken close' },
  'an exception after the head': { id: 'failure-before-body', ours: '500 close', theirs: '200 broken close' },
  'half an answer': { id: 'failure-before-body', ours: '500 close', theirs: '200 broken close' },
  'an exception after the answer': { id: 'failure-after-answer', ours: '200', theirs: '200 close' },
  'a return value': { id: 'failure-after-answer', ours: '200', theirs: '200 close' },
  'an exception after the answer and another request': {
    id: 'failure-after-answer', ours: '200 200', theirs: '200 nothing close',
  },
};

let both;
beforeAll(async () => { both = await startBoth(); });
afterAll(() => both?.close());

test('there are at least 120 of them', () => {
  expect(Object.keys(CASES).length).toBeGreaterThanOrEqual(120);
});

test.each(Object.entries(CASES))('%s', async (name, given) => {
  const exchange = Array.isArray(given) ? { requests: given } : given;
  const [ours, theirs] = await Promise.all([both.ours.run(exchange), both.theirs.run(exchange)]);
  const differs = DIFFERENT[name];
  if (differs) {
    expect(summaries(differs.id, ours, theirs)).toEqual(differs);
    return;
  }
  settleOutcomes(ours, theirs);
  expect(ours).toEqual(theirs);
});

test('a message after the end of the answer raises in uvicorn only', async () => {
  const exchange = { requests: answering([['start', 200, []], ['body', 'x'], ['attempt', ['body', 'y']]]) };
  const [ours, theirs] = await Promise.all([both.ours.run(exchange), both.theirs.run(exchange)]);
  summaries('message-after-end', ours, theirs);
  expect([ours.seen[0].raised, theirs.seen[0].raised]).toEqual([[], ['body']]);
  theirs.seen[0].raised = [];
  settleOutcomes(ours, theirs);
  expect(ours).toEqual(theirs);
});

test('every accepted difference is one, and docs/differences.md lists them all', () => {
  const listed = fs.readFileSync(path.join(ROOT, 'docs', 'differences.md'), 'utf8');
  expect([...listed.matchAll(/^\| `([\w-]+)` \|/gm)].map(([, id]) => id).sort()).toEqual(ACCEPTED.map(({ id }) => id).sort());
  expect([...used].sort()).toEqual(ACCEPTED.map(({ id }) => id).sort());
});
