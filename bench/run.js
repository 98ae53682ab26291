'use strict';

/**
 * `npm run bench`: every scenario, with medians over rounds in which the candidates take turns. Prints tables, and writes
 * build/bench/report.html and results.json.
 *
 *   npm run bench -- [--short] [in-process] [http] [websocket] [slopes]
 *
 * --short: one short round of everything, which shows that it all works and measures nothing. Without a word: all of them.
 */

const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const { page } = require('./chart');
const { ROUNDS, python, root, scenarios, skipped } = require('./harness');
const { http } = require('./http');
const { inProcess, slopes } = require('./in-process');
const { webSockets } = require('./websocket');

const PARTS = { 'in-process': inProcess, http, websocket: webSockets, slopes };

async function main() {
  const words = process.argv.slice(2).filter((word) => !word.startsWith('--'));
  const unknown = words.filter((word) => !Object.hasOwn(PARTS, word));
  if (unknown.length > 0) throw new Error(`expected ${Object.keys(PARTS).join(', ')}; got ${unknown.join(', ')}`);
  const version = execFileSync(python, ['--version'], { encoding: 'utf8' }).trim();
  const rounds = ROUNDS === 1 ? 'one short round: no measurement' : `medians of ${ROUNDS}`;
  const machine = `${os.cpus()[0].model}, ${os.cpus().length} cores, ${os.type()} ${os.release()}; Node ${process.version}, ${version}; ` +
    `${new Date().toISOString().slice(0, 10)}, ${rounds}`;
  console.log(machine);
  for (const [name, part] of Object.entries(PARTS)) if (words.length === 0 || words.includes(name)) await part();
  for (const what of skipped) console.log(`skipped ${what}`);
  const folder = path.join(root, 'build', 'bench');
  fs.mkdirSync(folder, { recursive: true });
  fs.writeFileSync(path.join(folder, 'results.json'), JSON.stringify({ machine, scenarios, skipped }, null, 2));
  fs.writeFileSync(path.join(folder, 'report.html'), page(machine, scenarios, skipped));
  console.log(`\nbuild/bench/report.html has the charts`);
}

main().catch((error) => {
  console.error(error.stack);
  process.exit(1);
});
