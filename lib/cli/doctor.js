'use strict';

/** `node-asgi doctor`: what pythonInfo() tells, and whether it runs. */

const { parseArgs } = require('node:util');

const { PythonHandler, pythonInfo } = require('../python-handler');

const HELP = `Usage: npx node-asgi doctor [--docroot FOLDER] [--python INTERPRETER OR VENV]

Looks for a Python as a handler in FOLDER would (default: here), starts it inside Node, and prints what it is, why it was
chosen and what was tried before. Exits with 1 when there is none.
`;

/** @param {string[]} args */
async function doctor(args) {
  const { values } = parseArgs({
    args, options: { docroot: { type: 'string' }, python: { type: 'string' }, help: { type: 'boolean', short: 'h' } },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return;
  }
  const { platform, arch, version } = process;
  console.log(`node        ${version}, ${platform} ${arch}`);
  // The app of this module is our own: what is asked for is Python, not the project's app.
  const handler = new PythonHandler({
    docroot: values.docroot ?? process.cwd(), python: values.python, target: 'node_asgi.calls:app', lifespan: 'off',
  });
  await handler.ready();
  const { rejected, ...info } = pythonInfo();
  for (const [name, value] of Object.entries(info)) console.log(`${name.padEnd(14)} ${value}`);
  for (const { candidate, source, reason } of rejected) console.log(`rejected       ${candidate} (${source}): ${reason}`);
  const facts = await handler.call('node_asgi.doctor:facts');
  for (const [name, value] of Object.entries(facts)) console.log(`${name.padEnd(14)} ${value}`);
  await handler.close();
}

module.exports = { doctor };
