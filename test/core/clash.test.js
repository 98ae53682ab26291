'use strict';

/** Several handlers of one process: one Python holds one module of a name. */

const path = require('node:path');

const { coreApps } = require('../helpers/core-apps');

const folder = (name) => path.resolve(__dirname, '../../fixtures/clash', name);
const { open } = coreApps();
const textOf = async ({ handler }) => (await handler.handleRequest({ url: '/' })).text();

test('a second module of the same name is an error that names both, and the first goes on', async () => {
  const one = open('main', { docroot: folder('one') });
  expect(await textOf(one)).toBe('one');

  const two = open('main', { docroot: folder('two') });
  const error = await two.handler.ready().catch((reason) => reason);
  expect(error).toMatchObject({ code: 'ERR_ASGI_MODULE_CLASH', status: 500 });
  expect(error.message).toContain(path.join(folder('two'), 'main.py'));
  expect(error.message).toContain(path.join(folder('one'), 'main.py'));
  expect(error.message).toContain("'two.main:app'");
  expect(await textOf(one)).toBe('one');
});

test('a module that the app imports and that another has hidden is told of', async () => {
  expect(await textOf(open('main', { docroot: folder('one') }))).toBe('one');
  const two = open('other', { docroot: folder('two') });
  await two.handler.ready();
  // main.py too, which this app happens not to import.
  expect(two.warnings.map(({ code, message }) => [code, message.split(' of ', 1)[0]]).sort()).toEqual([
    ['ERR_ASGI_MODULE_CLASH', "module 'main'"], ['ERR_ASGI_MODULE_CLASH', "module 'settings'"],
  ]);
});

test('below a common folder, packages keep them apart', async () => {
  const apart = open('two.main:app', { docroot: folder('') });
  // `import settings` in it is absolute, as before; its own would be `from . import settings`.
  expect(await textOf(apart)).toBe('one');
  expect(apart.warnings).toEqual([]);
});

test('several handlers of one app are apps of their own', async () => {
  const handlers = [open('hello'), open('hello')];
  for (const each of handlers) expect(await textOf(each)).toBe(await textOf(handlers[0]));
  await handlers[0].handler.close();
  await expect(textOf(handlers[0])).rejects.toMatchObject({ code: 'ERR_ASGI_CLOSED' });
  expect((await handlers[1].handler.handleRequest({ url: '/' })).status).toBe(200);
});
