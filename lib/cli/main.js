'use strict';

/** `npx node-asgi <command>`: which commands there are, and what a wrong use is answered with. */

const { UsageError } = require('./usage-error');

const HELP = `Usage: npx node-asgi <command> [options]

  serve [module:app]   serve a Python ASGI app; the default is main:app
  doctor               which Python would be used here, and why
  build                build the native addon from the package's own sources

npx node-asgi <command> --help tells more.
`;

const COMMANDS = {
  serve: () => require('./serve').serve,
  doctor: () => require('./doctor').doctor,
  build: () => require('./build').build,
};

/** Exit codes: 0 as asked, 1 it failed, 2 wrong use, 3 the app did not start (as uvicorn's). @param {string[]} args */
async function main(args) {
  const [name, ...rest] = args;
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    process.stdout.write(HELP);
    return;
  }
  if (name === '--version') {
    console.log(require('../../package.json').version);
    return;
  }
  try {
    if (!Object.hasOwn(COMMANDS, name)) {
      throw new UsageError(`unknown command '${name}': expected ${Object.keys(COMMANDS).join(', ')}`);
    }
    await COMMANDS[name]()(rest);
  } catch (error) {
    if (!(error instanceof UsageError) && !String(error.code).startsWith('ERR_PARSE_ARGS')) {
      console.error(error.code?.startsWith('ERR_') ? `${error.code}: ${error.message}` : error.stack);
      process.exitCode = 1;
      return;
    }
    console.error(`${error.message}\nnpx node-asgi ${Object.hasOwn(COMMANDS, name) ? `${name} ` : ''}--help tells what is there.`);
    process.exitCode = 2;
  }
}

module.exports = { main };
