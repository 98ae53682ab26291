'use strict';

/** Lines Q- of the ASGI checklist: where the specification and its servers disagree, and what is done here. */

const { once } = require('node:events');
const path = require('node:path');

const { WebSocket } = require('ws');

const { coreApps, eventually, jsonOf } = require('../helpers/core-apps');
const { fetchRaw, headerValues, RawConnection, requestBytes } = require('../helpers/raw-http');
const { serveExpress } = require('../helpers/servers');

const docroot = path.resolve(__dirname, '../../fixtures/conformance');
const { open, serve, closeLater } = coreApps();

let served;
beforeAll(async () => {
  served = await serve('conformance_http', { docroot });
  served.handler.attach(served.server);
});

const newKey = () => crypto.randomUUID();
const kept = (key, from = served) => eventually(() => from.fetchJson(`/seen?key=${key}`));

/** Sends a request, leaves once the app runs, and tells what the app has kept. */
async function leave(from, target) {
  const key = newKey();
  const connection = await RawConnection.open(from.port);
  await connection.write(requestBytes({ target: `${target}?key=${key}` }));
  await eventually(() => from.handler.stats().inFlight > 0);
  connection.reset();
  return kept(key, from);
}

test.each([
  ['2.5', ['ClientDisconnected', true]], ['2.3', 'nothing raised'],
])('Q-1 with spec version %s a send() to nobody gives %j', async (specVersion, outcome) => {
  const other = await serve('conformance_http', { docroot, specVersion });
  expect(await leave(other, '/sends-until-raised')).toEqual(outcome);
  const scope = (await open('scope_dump', { specVersion }).handler.handleRequest({ url: '/' })).json();
  expect(scope.scope.asgi.spec_version).toBe(specVersion);
});

test('Q-2 messages after the end are ignored: nothing raises, nothing is written', async () => {
  const key = newKey();
  const connection = await RawConnection.open(served.port);
  await connection.write(requestBytes({ target: `/after-the-end?key=${key}` }));
  expect(jsonOf(await connection.readResponse())).toBe('the end');
  expect(await kept(key)).toEqual(Array(4).fill('nothing raised'));
  await connection.write(requestBytes({ target: '/never-reads' }));
  expect(jsonOf(await connection.readResponse())).toBe('not wanted');
  connection.destroy();
});

/** The code with which a WebSocket is closed. */
async function closeOf(target) {
  const client = new WebSocket(`ws://127.0.0.1:${served.port}${target}`);
  const [code] = await once(client, 'close');
  return code;
}

test('Q-3 a send() after the own close of a WebSocket raises an OSError', async () => {
  const key = newKey();
  expect(await closeOf(`/closes-itself?key=${key}`)).toBe(4000);
  expect(await kept(key)).toEqual(['ClientDisconnected', true]);
});

test('Q-4 hints go out before and after the start, until the head does', async () => {
  const response = await served.fetch('/hints');
  expect(response.body.toString()).toBe('hinted, late: nothing raised');
  const links = response.informational.map((each) => [each.status, ...headerValues(each, 'link')]);
  expect(links).toEqual([[103, '</before.css>; rel=preload'], [103, '</after.css>; rel=preload']]);
});

test('Q-5 an app that returns from an open WebSocket closes it with 1000, one that raises with 1011', async () => {
  expect(await closeOf('/ends-open?how=return')).toBe(1000);
  expect(await closeOf('/ends-open?how=raise')).toBe(1011);
  expect(served.errors.splice(0)).toMatchObject([{ pythonMessage: 'in an open WebSocket' }]);
});

test('Q-6 a client that leaves does not cancel the app, unless the option says so', async () => {
  expect(await leave(served, '/lingers')).toBe('finished');
  const strict = await serve('conformance_http', { docroot, cancelOnDisconnect: 20 });
  expect(await leave(strict, '/lingers')).toBe('cancelled');
});

test('Q-7 the path has the root_path in it, of a mount and of the option', async () => {
  const server = closeLater(await serveExpress(served.handler, { mount: '/mount' }));
  expect(jsonOf(await fetchRaw(server.port, { target: '/mount/a%20b' }))).toEqual(['/mount', '/mount/a b', '/mount/a%20b']);
  const { handler } = open('conformance_http', { docroot, rootPath: '/option' });
  expect((await handler.handleRequest({ url: '/a' })).json()).toEqual(['/option', '/option/a', '/option/a']);
});

test('Q-8 extensions is a dict everywhere, and http.disconnect is nothing to send', async () => {
  for (const version of ['1.0', '1.1']) {
    expect(await served.fetchJson({ target: '/disconnect-sent', version })).toEqual(['dict', 'RuntimeError']);
  }
  expect((await served.handler.handleRequest({ url: '/disconnect-sent' })).json()).toEqual(['dict', 'RuntimeError']);
  const client = new WebSocket(`ws://127.0.0.1:${served.port}/extensions`);
  const [text] = await once(client, 'message');
  client.close();
  expect(text.toString()).toBe('dict');
  await once(client, 'close');
});
