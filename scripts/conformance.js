'use strict';

/**
 * Makes docs/conformance.md of the requirements in test/conformance.json and of the tests that name them, as the last
 * `npm test` has found them.
 *
 *   node scripts/conformance.js [--check]     --check writes nothing, and fails where the file is not current
 */

const fs = require('node:fs');
const path = require('node:path');

const root = path.resolve(__dirname, '..');
const reports = path.join(root, 'build', 'test');
const target = path.join(root, 'docs', 'conformance.md');

const ID = /\b[A-Z]-\d{1,2}\b/g;
const SHOWN_TESTS = 3;
const SECTIONS = {
  S: 'Scope and state',
  H: 'HTTP',
  X: 'Errors and calling rules',
  W: 'WebSocket',
  L: 'Lifespan',
  E: 'Extensions',
  Q: 'Where the specification and practice disagree',
  F: 'What frameworks rely on',
};

/**
 * The tests of each requirement. A test that several interpreters run is one test, which has passed where all have.
 * @returns {Map<string, Map<string, boolean>>} id → test → whether it has passed
 */
function readReports() {
  const found = new Map();
  const files = fs.existsSync(reports) ? fs.readdirSync(reports).filter((file) => /^(jest|core-.*)\.json$/.test(file)) : [];
  for (const file of files.sort()) {
    for (const suite of JSON.parse(fs.readFileSync(path.join(reports, file), 'utf8')).testResults) {
      const where = path.relative(root, suite.name).replace(/^test\/|\.test\.js$/g, '');
      for (const { title, ancestorTitles, status } of suite.assertionResults) {
        const words = [...ancestorTitles, title].join(' › ');
        for (const id of new Set(words.match(ID))) {
          if (!found.has(id)) found.set(id, new Map());
          const name = `${where}: ${[...ancestorTitles, title].join(' › ')}`;
          found.get(id).set(name, (found.get(id).get(name) ?? true) && status === 'passed');
        }
      }
    }
  }
  return found;
}

const escape = (text) => text.replace(/\|/g, '\\|').replace(/</g, '&lt;');

/** @param {Record<string, {level: string, text: string}>} requirements @param {ReturnType<typeof readReports>} found */
function table(requirements, found) {
  const lines = [
    '# Conformance',
    '',
    'Every requirement on an ASGI server and the tests that name it, from `test/js` and `test/core`; made by',
    '`node scripts/conformance.js` after `npm test`, which fails when a requirement has no test or one that fails.',
    '**must**, **should** and **optional** are levels of the specifications (ASGI 3.0, HTTP and WebSocket 2.5, lifespan',
    '2.0, TLS 0.2); **practice** is not in the text, but servers do it or frameworks depend on it.',
  ];
  for (const [letter, heading] of Object.entries(SECTIONS)) {
    lines.push('', `## ${heading}`, '', '| id | requirement | level | tests | verdict |', '|---|---|---|---|---|');
    for (const [id, { level, text }] of Object.entries(requirements)) {
      if (id[0] !== letter) continue;
      const tests = [...(found.get(id) ?? [])];
      const names = tests.map(([name]) => name).sort();
      const shown = names.slice(0, SHOWN_TESTS).map(escape);
      if (names.length > SHOWN_TESTS) shown.push('…');
      const verdict = tests.length === 0 ? 'no test' : tests.every(([, passed]) => passed) ? 'passed' : 'FAILED';
      lines.push(`| ${id} | ${escape(text)} | ${level} | ${shown.join('<br>')} | ${verdict} |`);
    }
  }
  return `${lines.join('\n')}\n`;
}

/**
 * @param {{write?: boolean}} [options] write: whether docs/conformance.md is made anew
 * @returns {{passed: number, failed: string[], skipped: string[]}} by the requirements' ids
 */
function conformance({ write = false } = {}) {
  const requirements = JSON.parse(fs.readFileSync(path.join(root, 'test', 'conformance.json'), 'utf8'));
  const found = readReports();
  const text = table(requirements, found);
  if (write) fs.writeFileSync(target, text);
  const result = { passed: 0, failed: [], skipped: [] };
  for (const id of Object.keys(requirements)) {
    const tests = [...(found.get(id) ?? [])];
    if (tests.length > 0 && tests.every(([, passed]) => passed)) result.passed += 1;
    else result.failed.push(`${id}: ${tests.length === 0 ? 'has no test' : 'a test of it failed'}`);
  }
  const current = fs.existsSync(target) ? fs.readFileSync(target, 'utf8') : '';
  if (current !== text) result.failed.push('docs/conformance.md is not current: node scripts/conformance.js');
  return result;
}

module.exports = { conformance };

if (require.main === module) {
  const { passed, failed } = conformance({ write: !process.argv.includes('--check') });
  for (const line of failed) console.error(line);
  console.log(`${passed} requirements passed, ${failed.length} problems`);
  process.exitCode = failed.length > 0 ? 1 : 0;
}
