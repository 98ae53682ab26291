'use strict';

/** A Python app in Nest on Express: by app.use(), before the body parsers, and by a module, after them. */

const path = require('node:path');

const { Child } = require('../helpers/child');
const { askHttp1, exchange, hostSuite } = require('../helpers/host-suite');

const SERVER = path.resolve(__dirname, '../helpers/nest-server.js');

const nests = {};

/** @param {string} kind */
async function start(kind) {
  const child = new Child([SERVER, kind]);
  const [, port] = await child.printed(/^port (\d+)$/m);
  const ask = askHttp1(`http://127.0.0.1:${port}`);
  const json = async (target) => (await exchange(ask, { path: target })).json();
  nests[kind] = {
    child, ask, control: (target) => json(`/beside/control${target}`), reported: () => json('/beside/reported'),
  };
}

beforeAll(() => Promise.all([start('plain'), start('raw')]));

afterAll(async () => {
  for (const { child } of Object.values(nests)) child.kill('SIGKILL');
  await Promise.all(Object.values(nests).map(({ child }) => child.ended()));
});

describe('by app.use()', () => {
  hostSuite(() => ({ ...nests.plain, prefix: '/used' }));
});

const post = (kind, target, body, type) => exchange(nests[kind].ask, {
  method: 'POST', path: target, body, headers: { 'content-type': type },
});

describe('by a module', () => {
  const get = (target) => exchange(nests.plain.ask, { path: target });

  test('a request that has no body, or one that Nest has parsed', async () => {
    const { got, scope } = (await post('plain', '/applied/json?a=1', '{"text": "zwölf"}', 'application/json')).json();
    expect(got).toEqual({ text: 'zwölf' });
    expect(scope).toMatchObject({ root_path: '/applied', path: '/applied/json', query_string: 'a=1' });
    expect((await get('/applied/cookies')).values('set-cookie')).toEqual(['first=1; Path=/', 'second=2; HttpOnly']);
  });
});

test('rawBody: the app gets the bytes that were sent', async () => {
  const body = '{ "a" : 1e2 }\n';
  expect((await post('raw', '/applied/echo', body, 'application/json')).text).toBe(body);
});

test("Nest's own routes and their errors", async () => {
  const answer = await exchange(nests.plain.ask, { path: '/node' });
  expect(answer.json()).toEqual({ answeredBy: 'Nest' });
  expect((await exchange(nests.plain.ask, { path: '/node/fails' })).json()).toMatchObject({ statusCode: 500 });
  expect((await exchange(nests.plain.ask, { path: '/nothing' })).json()).toMatchObject({ statusCode: 404 });
});

test('closing Nest and the handler lets the process end', async () => {
  const { child } = nests.raw;
  child.kill('SIGTERM');
  expect(await child.ended()).toEqual({ code: 0, signal: null });
  expect(child.stderr).toBe('');
});
