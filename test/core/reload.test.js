'use strict';

/** reload(): the new app beside the old, and the old one until the new one can serve. */

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const { coreApps, eventually, later } = require('../helpers/core-apps');

const { open } = coreApps();
let count = 0;
const folders = [];

afterAll(() => { for (const folder of folders) fs.rmSync(folder, { recursive: true, force: true }); });

const APP = (name, answer) => `
import asyncio, sys
sys.dont_write_bytecode = False  # whatever the environment says: old compiled code is part of the test
from ${name}_part import PART
log = vars(sys).setdefault("log_of_${name}", [])  # outlives the module
async def send_text(send, text):
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": text.encode()})

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        log.append("startup " + ${JSON.stringify(answer)})
        await send({"type": "lifespan.startup.complete"})
        await receive()
        log.append("shutdown " + ${JSON.stringify(answer)})
        await send({"type": "lifespan.shutdown.complete"})
        return
    if scope["path"] == "/slow":
        await asyncio.sleep(0.3)
    if scope["path"] == "/lazy":
        from ${name}_part import PART as lazy
        return await send_text(send, lazy)
    body = ",".join(log) if scope["path"] == "/log" else ${JSON.stringify(answer)} + PART
    await send_text(send, body)
`;

/** A project of its own, whose modules have names of their own. */
function project(answer, part) {
  const docroot = fs.mkdtempSync(path.join(os.tmpdir(), 'reload-'));
  folders.push(docroot);
  const name = `reloaded${++count}`;
  const write = (file, text) => fs.writeFileSync(path.join(docroot, file), text);
  const edit = (text, more) => {
    write(`${name}.py`, APP(name, text));
    write(`${name}_part.py`, `PART = ${JSON.stringify(more)}\n`);
  };
  edit(answer, part);
  const opened = open(`${name}:app`, { docroot, lifespan: 'on' });
  const text = async (url = '/') => (await opened.handler.handleRequest({ url })).text();
  return { ...opened, docroot, name, write, edit, text };
}

test('the app and the modules it imports are the new ones, however quickly they were edited', async () => {
  const { handler, edit, text } = project('one', '1');
  expect(await text()).toBe('one1');
  for (const [answer, part] of [['two', '2'], ['six', '6'], ['ten', '0']]) {
    edit(answer, part); // of the same length, within the same second
    await handler.reload();
    expect(await text()).toBe(answer + part);
  }
  await eventually(() => handler.stats().inFlight === 0);
  expect(handler.stats()).toMatchObject({ total: 4, failed: 0 });
});

test('requests under way end with the old app, others begin with the new one, and none fails', async () => {
  const { handler, edit, text } = project('old', '');
  expect(await text()).toBe('old');
  const slow = text('/slow');
  await later(50);
  edit('new', '');
  const reloading = handler.reload();
  const answers = [];
  let over = false;
  reloading.finally(() => { over = true; });
  while (!over) answers.push(await text());
  expect(await slow).toBe('old');
  expect(answers[0]).toBe('old');
  expect(answers.at(-1)).toBe('new');
  expect(new Set(answers).size).toBe(2);
});

test.each([
  ['a syntax error', 'async def app(:', { pythonType: 'SyntaxError' }],
  ['an exception at import', 'raise ValueError("not today")', { message: expect.stringContaining('not today') }],
  ['no app', 'other = 1', { code: 'ERR_ASGI_APP_NOT_FOUND' }],
  ['a startup that fails', `
async def app(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "no database"})
`, { message: expect.stringContaining('no database') }],
])('with %s the old app serves on, and a later reload may succeed', async (_, code, error) => {
  const { handler, name, edit, write, text } = project('before', '!');
  expect(await text()).toBe('before!');
  write(`${name}.py`, code);
  write(`${name}_part.py`, 'PART = "of the new one"\n');
  await expect(handler.reload()).rejects.toMatchObject(error);
  expect(await text()).toBe('before!');
  expect(await text('/lazy')).toBe('!'); // its modules are back, for what it imports later
  edit('after', '?');
  await handler.reload();
  expect(await text()).toBe('after?');
});

test('an app that never loaded may be loaded so', async () => {
  const { handler, name, edit, write, text } = project('unused', '');
  await handler.ready();
  const other = project('x', '');
  other.write(`${other.name}.py`, 'raise ValueError("broken")');
  await expect(other.handler.ready()).rejects.toThrow('broken');
  other.edit('mended', '');
  await other.handler.reload();
  expect(await other.text()).toBe('mended');
  expect(await other.handler.ready()).toHaveProperty('version');
  expect([name, edit, write, text]).toHaveLength(4);
});

test('a C extension in docroot is an error that says what to do', async () => {
  const { handler, docroot, name, write, text } = project('one', '');
  const { stdout } = require('node:child_process').spawnSync(process.env.NODE_ASGI_PYTHON, ['-c',
    'import _heapq, sys; print(getattr(_heapq, "__file__", ""))'], { encoding: 'utf8' });
  const extension = stdout.trim() || findExtension();
  fs.copyFileSync(extension, path.join(docroot, path.basename(extension).replace(/^[^.]+/, (one) => one)));
  const module = path.basename(extension).split('.')[0];
  write(`${name}_part.py`, `
import importlib.util, sys
spec = importlib.util.spec_from_file_location(${JSON.stringify(module)}, ${JSON.stringify(path.join(docroot, path.basename(extension)))})
own = importlib.util.module_from_spec(spec)
sys.modules[${JSON.stringify(`${module}_of_${name}`)}] = own
PART = ""
`);
  expect(await text()).toBe('one');
  await expect(handler.reload()).rejects.toMatchObject({ code: 'ERR_ASGI_RELOAD', message: expect.stringContaining('C extension') });
  expect(await text()).toBe('one');
});

/** Some extension module of the standard library, where _heapq is built in. */
function findExtension() {
  const { stdout } = require('node:child_process').spawnSync(process.env.NODE_ASGI_PYTHON, ['-c',
    'import _json, _csv, sys; print([m.__file__ for m in (_json, _csv) if getattr(m, "__file__", None)][0])'], { encoding: 'utf8' });
  return stdout.trim();
}

test('both lifespans run; several at once are one after the other; none after close()', async () => {
  const { handler, edit, text, errors } = project('one', '');
  expect(await text()).toBe('one');
  edit('two', '');
  await Promise.all([handler.reload(), handler.reload()]);
  expect(await text()).toBe('two');
  // The new one has started before the old one is shut down, each time.
  expect(await text('/log')).toBe('startup one,startup two,shutdown one,startup two,shutdown two');
  expect(await handler.close()).toMatchObject({ lifespan: 'complete' });
  await expect(handler.reload()).rejects.toMatchObject({ code: 'ERR_ASGI_CLOSED' });
  await eventually(() => errors.length === 0);
});
