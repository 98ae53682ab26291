'use strict';

const WANTED_PORT = Number(process.env.PORT ?? 3000);

/**
 * As listen.js, for servers of node:https and node:http2: prints an https address, and on SIGINT or SIGTERM ends the
 * sessions of HTTP/2 too.
 *
 * @param {import('node:https').Server | import('node:http2').Http2SecureServer} server
 * @param {import('node-asgi').PythonHandler} handler
 */
async function listenTls(server, handler) {
  const sessions = new Set();
  server.on('session', (session) => {
    sessions.add(session);
    session.once('close', () => sessions.delete(session));
  });
  await handler.ready();
  server.once('error', (error) => {
    if (error.code !== 'EADDRINUSE') throw error;
    server.listen(0);
  });
  server.listen(WANTED_PORT);
  server.once('listening', () => console.log(`https://localhost:${server.address().port}/`));

  for (const signal of ['SIGINT', 'SIGTERM']) {
    // Once: a second signal ends the program at once.
    process.once(signal, async () => {
      server.close();
      // Streams under way are finished, and no more are taken.
      for (const session of sessions) session.close();
      await handler.close();
      server.closeAllConnections?.();
      for (const session of sessions) session.destroy();
    });
  }
}

module.exports = { listenTls };
