'use strict';

/** Lines X- of the ASGI checklist that need more than test/core/failures.test.js shows. */

const path = require('node:path');

const { coreApps, eventually, jsonOf, later } = require('../helpers/core-apps');
const { headerValues, IncompleteResponse, RawConnection, requestBytes } = require('../helpers/raw-http');

const docroot = path.resolve(__dirname, '../../fixtures/conformance');
const { open, serve } = coreApps();

let served;
beforeAll(async () => { served = await serve('conformance_http', { docroot, debug: false }); });

describe('wrong messages', () => {
  test('X-01 X-02 X-03 X-04 X-05 X-06 each of a row of them raises, and the right ones between them go through', async () => {
    const connection = await RawConnection.open(served.port);
    await connection.write(requestBytes({ target: '/mistakes' }));
    const response = await connection.readResponse();
    const [first, last] = response.body.toString().split('\n');
    const wrongType = [
      'status float', 'status None', 'headers None', 'headers int', 'header value str', 'header value int', 'header of three',
      'header bytes', 'type None', 'None', 'str', 'pairs', 'body int', 'body list',
    ];
    const wrongMoment = ['websocket.send', 'websocket.close', 'http.request', 'lifespan', 'second start', 'unknown'];
    expect(JSON.parse(first)).toEqual({
      ...Object.fromEntries(wrongType.map((name) => [name, 'TypeError'])),
      ...Object.fromEntries(wrongMoment.map((name) => [name, 'RuntimeError'])),
      'headers break off': 'LookupError', 'empty': 'ValueError',
    });
    expect(last).toBe('RuntimeError');
    expect(headerValues(response, 'x-right')).toEqual(['1']);
    // Nothing of the heads that were refused.
    expect(response.headers.filter(([name]) => /^x-/i.test(name))).toHaveLength(1);
    await connection.write(requestBytes({ target: '/never-reads' }));
    expect(jsonOf(await connection.readResponse())).toBe('not wanted');
    connection.destroy();
    expect(served.errors).toEqual([]);
  });
});

describe('exceptions', () => {
  const leaving = [['exit', 'SystemExit'], ['interrupt', 'KeyboardInterrupt'], ['cancelled', /CancelledError$/]];
  test.each(leaving)('X-16 X-13 %s after the head ends this response, unclean, and nothing else', async (how, type) => {
    await expect(served.fetch(`/exits-after-head?how=${how}`)).rejects.toThrow(IncompleteResponse);
    await eventually(() => served.errors.length > 0);
    expect(served.errors.splice(0).map((error) => error.pythonType)).toEqual([expect.stringMatching(type)]);
    expect(await served.fetchJson('/never-reads')).toBe('not wanted');
  });

  test('X-23 an exception that raises whatever it is asked', async () => {
    const nasty = await serve('conformance_http:nasty', { docroot, debug: false });
    expect((await nasty.fetch('/')).status).toBe(500);
    await eventually(() => nasty.errors.length > 0);
    expect(nasty.errors[0].pythonType).toBe('conformance_http.Nasty');
    expect(await nasty.fetchJson('/again')).toBe('again');
  });
});

describe('callables', () => {
  test.each(['returns_future', 'Awaitable'])('X-17 an app whose call gives %s', async (name) => {
    const { handler } = open(`conformance_http:${name}`, { docroot, lifespan: 'off' });
    expect((await handler.handleRequest({ url: '/' })).json()).toBe('not wanted');
  });

  test('X-19 receive() and send() give coroutines', async () => {
    expect(await served.fetchJson('/coroutines')).toEqual([true, true, true, 'http.request']);
  });

  test('X-22 X-18 an exception in the first call of an ASGI 2 app is a 500 and is reported', async () => {
    const { fetch, errors, handler } = await serve('conformance_http:RaisesInFirstCall', { docroot, lifespan: 'off', debug: false });
    expect((await fetch('/')).status).toBe(500);
    expect(errors).toMatchObject([{ pythonType: 'LookupError', pythonMessage: 'in the first call' }]);
    await expect(handler.handleRequest({ url: '/' })).rejects.toMatchObject({ pythonType: 'LookupError' });
  });

  test('X-22 a class that is marked as a single callable is called once', async () => {
    const { handler } = open('conformance_http:Marked', { docroot, lifespan: 'off' });
    expect((await handler.handleRequest({ url: '/' })).json()).toBe('3.0');
  });

  test('X-22 S-03 an ASGI 2 app is told a version that exists', async () => {
    const { handler } = open('conformance_http:Version', { docroot, lifespan: 'off' });
    expect(['2.0', '3.0']).toContain((await handler.handleRequest({ url: '/' })).json());
  });
});

describe('a client that has left', () => {
  test.each([
    ['2.5', ['ClientDisconnected', true]], ['2.3', 'nothing raised'],
  ])('X-08 X-09 under spec version %s send() gives %j, and nobody hears of it', async (specVersion, outcome) => {
    const { port, fetchJson, errors, warnings } = await serve('conformance_http', { docroot, specVersion });
    const key = crypto.randomUUID();
    const connection = await RawConnection.open(port);
    await connection.write(requestBytes({ target: `/sends-until-raised?key=${key}` }));
    const reading = connection.readResponse({ onData: () => connection.reset() });
    await expect(reading).rejects.toThrow(IncompleteResponse);
    expect(await eventually(() => fetchJson(`/seen?key=${key}`))).toEqual(outcome);
    await later(30);
    expect([...errors, ...warnings]).toEqual([]);
  });
});
