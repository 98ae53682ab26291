'use strict';

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const { checkTree } = require('../../scripts/check-layers.js');

let root;

beforeEach(() => {
  root = fs.mkdtempSync(path.join(os.tmpdir(), 'node-asgi-layers-'));
});

afterEach(() => {
  fs.rmSync(root, { recursive: true, force: true });
});

/**
 * Writes a source tree: file contents by path, and a source list that fits unless one is given.
 * @param {Record<string, string>} files
 * @param {object} [list]
 */
function tree(files, list) {
  const sources = Object.keys(files).filter((file) => file.endsWith('.cc'));
  const inAddon = (file) => file === 'src/addon.cc' || file.startsWith('src/node/');
  const variables = list ?? {
    core_sources: sources.filter((file) => !inAddon(file)),
    addon_sources: sources.filter(inAddon),
  };
  const all = { ...files, 'src/sources.gypi': JSON.stringify({ variables }) };
  for (const [file, text] of Object.entries(all)) {
    fs.mkdirSync(path.dirname(path.join(root, file)), { recursive: true });
    fs.writeFileSync(path.join(root, file), text);
  }
}

const include = (...headers) => headers.map((header) => `#include ${header}\n`).join('');

test('the tree of this project is right', () => {
  expect(checkTree(path.resolve(__dirname, '../..'))).toEqual([]);
});

test('a tree that only includes to the right has no problems', () => {
  tree({
    'src/addon.cc': include('"node/environment.h"'),
    'src/node/environment.cc': include('<uv.h>', '<napi.h>', '"napi.h"', '"host/runtime.h"', '"bridge/mailbox.h"'),
    'src/host/runtime.cc': include('<boost/asio/io_context.hpp>', '"asgi/scope.h"', '"host/runtime.h"'),
    'src/asgi/scope.cc': include('"python/ref.h"', '"bridge/events.h"', '"asgi/scope.h"'),
    'src/python/library.cc': include('<dlfcn.h>', '"bridge/failure.h"'),
    'src/bridge/waker.cc': include('<vector>', '<cstdint>', '<sys/eventfd.h>', '"bridge/waker.h"'),
  });
  expect(checkTree(root)).toEqual([]);
});

test.each([
  ['src/bridge/a.h', '"python/ref.h"', 'bridge/ may include only itself'],
  ['src/python/a.h', '"asgi/scope.h"', 'python/ may include itself and bridge/'],
  ['src/asgi/a.h', '"host/runtime.h"', 'asgi/ may include itself and python/, bridge/'],
  ['src/host/a.h', '"node/environment.h"', 'host/ may include itself and asgi/, python/, bridge/'],
  ['src/host/a.h', '<napi.h>', 'only node/ may include it'],
  ['src/host/a.h', '"uv.h"', 'only node/ may include it'],
  ['src/asgi/a.h', '<node_api.h>', 'only node/ may include it'],
  ['src/node/a.h', '<boost/asio/post.hpp>', 'only host/ may include it'],
  ['src/python/a.h', '<Python.h>', 'no file may include it'],
  ['src/node/a.h', '"Python.h"', 'no file may include it'],
  ['src/bridge/a.h', '<dlfcn.h>', 'bridge/ may include the standard library only'],
  ['src/python/a.h', '"ref.h"', 'expected a path from src/ such as "python/ref.h"'],
  ['src/python/a.h', '"../bridge/waker.h"', 'expected a path from src/ such as "python/ref.h"'],
])('%s including %s is reported', (file, header, reason) => {
  tree({ [file]: `// first line\n${include(header)}` });
  expect(checkTree(root)).toEqual([`${file}:2: includes ${header.slice(1, -1)}: ${reason}`]);
});

test('a file outside the layers is reported', () => {
  tree({ 'src/util/a.h': '' });
  expect(checkTree(root)).toEqual([
    'src/util/a.h: expected a file of src/{node,host,asgi,python,bridge}/ or src/addon.cc',
  ]);
});

test('missing, repeated, misplaced and unlisted sources are reported', () => {
  tree(
    { 'src/bridge/a.cc': '', 'src/bridge/b.cc': '', 'src/node/c.cc': '' },
    { core_sources: ['src/bridge/a.cc', 'src/bridge/a.cc', 'src/node/c.cc', 'src/asgi/gone.cc'], addon_sources: [] },
  );
  expect(checkTree(root)).toEqual([
    'src/sources.gypi: src/node/c.cc stands in core_sources, expected addon_sources',
    'src/sources.gypi: src/bridge/a.cc is listed 2 times, expected once',
    'src/sources.gypi: src/asgi/gone.cc is listed but does not exist',
    'src/sources.gypi: src/bridge/b.cc exists but is not listed',
  ]);
});

test('a source list that is not strict JSON is reported', () => {
  tree({});
  fs.writeFileSync(path.join(root, 'src/sources.gypi'), "{'variables': {}}");
  expect(checkTree(root)).toEqual([expect.stringMatching(/^src\/sources\.gypi: expected strict JSON: /)]);
});
