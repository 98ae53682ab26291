'use strict';

const WANTED_PORT = Number(process.env.PORT ?? 3000);

/**
 * Listens on PORT (default 3000) or, when that is taken, on a free port, and prints the address.
 * SIGINT or SIGTERM then ends the program in order: no new connections, requests under way are finished, the Python
 * app is shut down.
 *
 * @param {import('node:http').Server} server
 * @param {import('node-asgi').PythonHandler} handler
 */
async function listen(server, handler) {
  await handler.ready();
  const listening = (port) => new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, () => {
      server.off('error', reject);
      resolve();
    });
  });
  try {
    await listening(WANTED_PORT);
  } catch (error) {
    if (error.code !== 'EADDRINUSE') throw error;
    await listening(0);
  }
  console.log(`http://localhost:${server.address().port}/`);

  for (const signal of ['SIGINT', 'SIGTERM']) {
    // Once: a second signal ends the program at once.
    process.once(signal, async () => {
      server.close();
      server.closeIdleConnections();
      await handler.close();
      server.closeAllConnections();
    });
  }
}

module.exports = { listen };
