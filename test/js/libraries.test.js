'use strict';

/** Python libraries with native code, from PyPI's wheels and from Debian's packages, each in a process of its own. */

const { spawnSync } = require('node:child_process');
const path = require('node:path');

const { debianPython, wheelsPython } = require('../../scripts/libraries');

const PROGRAM = path.resolve(__dirname, '../helpers/library-program.js');
const ones = [8, 0, 0, 0, 0, 0, 0, 0];

/** Module, function with its arguments, what comes of it. */
const USES = [
  ['numpy', ['numpy'], [true, ones]],
  ['pandas', ['pandas'], { a: 4, b: 2 }],
  ['cryptography', ['cryptography'], 'secret'],
  ['pydantic', ['pydantic'], [1.5, 1]],
  ['orjson', ['orjson'], { text: 'ü', list: [1, 2.5, null] }],
  ['uvloop', ['uvloop'], 'hello\n'],
  ['lxml', ['lxml'], ['1', '2']],
  ['PIL', ['PIL'], [8, 8]],
  ['grpc', ['grpc'], 'cba'],
  ['torch', ['torch'], [1, 2, 3]],
  ['httpx', ['httpx_async', 'TLS', 'CERTIFICATE'], Array(5).fill('over TLS')],
  ['aiohttp', ['aiohttp', 'TLS', 'CERTIFICATE'], 'over TLS'],
  ['ssl', ['untrusted', 'TLS'], 'refused'],
];

const SOURCES = [['wheels from PyPI', wheelsPython()], ['packages of Debian', debianPython()]];

describe.each(SOURCES.filter(([, python]) => python))('%s', (_source, python) => {
  const modules = JSON.stringify(USES.map(([module]) => module));
  const has = JSON.parse(spawnSync(python, ['-c', `
import importlib.util, json
print(json.dumps({name: importlib.util.find_spec(name) is not None for name in ${modules}}))`], { encoding: 'utf8' }).stdout);

  for (const [module, args, answer] of USES) {
    (has[module] ? test : test.skip)(`${module} works`, () => {
      const { status, signal, stdout, stderr } = spawnSync(process.execPath, [PROGRAM, python, ...args], { encoding: 'utf8', timeout: 120_000 });
      if (status !== 0) throw new Error(`exit ${status ?? signal}: ${stdout}${stderr}`);
      expect(JSON.parse(stdout)).toEqual(answer);
    }, 130_000);
  }

  (has.httpx ? test : test.skip)('httpx answers to a server in the same process, whose thread it does not hold', () => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [PROGRAM, python, 'httpx', 'TLS', 'CERTIFICATE'], { encoding: 'utf8', timeout: 60_000 });
    expect([status, status === 0 ? '' : stderr]).toEqual([0, '']);
    expect(JSON.parse(stdout)).toBe('over TLS');
  }, 70_000);
});

for (const [source, python] of SOURCES) if (!python) test.skip(`${source} could not be installed`, () => {});
