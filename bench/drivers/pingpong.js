'use strict';

/** Runs the ping-pong addon. argv: the addon, round trips. Prints JSON {roundTrip} in microseconds. */

require(process.argv[2]).run(Number(process.argv[3]), (roundTrip) => {
  console.log(JSON.stringify({ roundTrip }));
  process.exit(0);
});
