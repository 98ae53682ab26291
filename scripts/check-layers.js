'use strict';

/**
 * Checks the include rule: a folder of src/ includes only what stands to its right,
 *
 *   addon.cc -> node/ -> host/ -> asgi/ -> python/ -> bridge/
 *
 * and that src/sources.gypi lists every source file exactly once.
 *
 *   node scripts/check-layers.js [root]
 */

const fs = require('node:fs');
const path = require('node:path');

// Leftmost first. A layer may include itself and every later one.
const layers = ['addon', 'node', 'host', 'asgi', 'python', 'bridge'];

// Headers from outside that belong to some layers only, by the first match.
const reserved = [
  {
    // libpython is loaded at run time; its headers would tie the binary to one version.
    pattern: /^(Python\.h|cpython\/|pybind11\/)/,
    layers: [],
  },
  { pattern: /^(napi|node_api|js_native_api|node|v8|uv)([-_/][^.]*)?\.h$/, layers: ['node'] },
  { pattern: /^boost\//, layers: ['host'] },
];

// bridge/ is the standard library only; these are what it needs of POSIX to wake a thread.
const bridgeSystem = new Set(['errno.h', 'fcntl.h', 'poll.h', 'sys/eventfd.h', 'unistd.h']);
const isStandard = (header) => /^[a-z_0-9]+$/.test(header);

const includeLine = /^[ \t]*#[ \t]*include[ \t]*(?:"([^"]+)"|<([^>]+)>)/gm;

/** Every file under a folder whose name ends in one of the extensions, relative to root. */
function filesUnder(root, folder, extensions) {
  const absolute = path.join(root, folder);
  if (!fs.existsSync(absolute)) return [];
  return fs
    .readdirSync(absolute, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && extensions.includes(path.extname(entry.name)))
    .map((entry) => path.relative(root, path.join(entry.parentPath ?? entry.path, entry.name)))
    .sort();
}

/** The layer of a path relative to src/, or undefined. */
function layerOf(file) {
  const first = file === 'addon.cc' ? 'addon' : file.split('/')[0];
  return layers.includes(first) ? first : undefined;
}

/** Why a file of this layer may not include this header, or undefined when it may. */
function objection(layer, header, quoted) {
  const target = header.includes('/') ? layerOf(header) : undefined;
  if (quoted && target) {
    if (layers.indexOf(target) >= layers.indexOf(layer)) return undefined;
    const right = layers.slice(layers.indexOf(layer) + 1).map((name) => `${name}/`);
    return `${layer}/ may include ${right.length ? `itself and ${right.join(', ')}` : 'only itself'}`;
  }
  const rule = reserved.find(({ pattern }) => pattern.test(header));
  if (rule) {
    if (rule.layers.includes(layer)) return undefined;
    return rule.layers.length
      ? `only ${rule.layers.map((name) => `${name}/`).join(', ')} may include it`
      : 'no file may include it';
  }
  if (quoted) return 'expected a path from src/ such as "python/ref.h"';
  if (layer === 'bridge' && !isStandard(header) && !bridgeSystem.has(header)) {
    return 'bridge/ may include the standard library only';
  }
  return undefined;
}

/** @returns {string[]} one line per wrong include under root/src */
function checkIncludes(root) {
  const problems = [];
  for (const file of filesUnder(root, 'src', ['.cc', '.h'])) {
    const layer = layerOf(path.relative('src', file));
    if (!layer) {
      problems.push(`${file}: expected a file of src/{${layers.slice(1).join(',')}}/ or src/addon.cc`);
      continue;
    }
    const text = fs.readFileSync(path.join(root, file), 'utf8');
    for (const match of text.matchAll(includeLine)) {
      const header = match[1] ?? match[2];
      const reason = objection(layer, header, match[1] !== undefined);
      if (!reason) continue;
      const line = text.slice(0, match.index).split('\n').length;
      problems.push(`${file}:${line}: includes ${header}: ${reason}`);
    }
  }
  return problems;
}

/** @returns {string[]} one line per source file that is not listed, or listed wrongly */
function checkSourceList(root) {
  const list = 'src/sources.gypi';
  let variables;
  try {
    variables = JSON.parse(fs.readFileSync(path.join(root, list), 'utf8')).variables;
  } catch (error) {
    return [`${list}: expected strict JSON: ${error.message}`];
  }
  const problems = [];
  const present = new Set(filesUnder(root, 'src', ['.cc']));
  const listed = new Map();
  for (const key of ['core_sources', 'addon_sources']) {
    for (const file of variables[key] ?? []) {
      listed.set(file, (listed.get(file) ?? 0) + 1);
      const belongs = /^src\/(addon\.cc$|node\/)/.test(file) ? 'addon_sources' : 'core_sources';
      if (key !== belongs) problems.push(`${list}: ${file} stands in ${key}, expected ${belongs}`);
    }
  }
  for (const [file, count] of listed) {
    if (count > 1) problems.push(`${list}: ${file} is listed ${count} times, expected once`);
    if (!present.has(file)) problems.push(`${list}: ${file} is listed but does not exist`);
  }
  for (const file of present) {
    if (!listed.has(file)) problems.push(`${list}: ${file} exists but is not listed`);
  }
  return problems;
}

/** @returns {string[]} all problems of the tree at root, none when it is right */
const checkTree = (root) => [...checkIncludes(root), ...checkSourceList(root)];

module.exports = { checkTree, filesUnder };

if (require.main === module) {
  const problems = checkTree(process.argv[2] ?? path.resolve(__dirname, '..'));
  for (const problem of problems) console.error(problem);
  process.exit(problems.length ? 1 : 0);
}
