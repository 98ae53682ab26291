'use strict';

const fs = require('node:fs');

/** Sends a part of a file as the next part of a response body, at the pace of the client. */
class FileSender {
  #stream;
  #response;
  #left;
  /** @type {{run: () => void, drop?: () => void}[]} */
  #later = [];
  #onClose = () => this.stop();

  /**
   * @param {any} response
   * @param {{fd: number, offset: number, bytes: number}} part the descriptor is closed in any case
   * @param {object} events
   * @param {(bytes: number) => void} events.passed the response has taken bytes
   * @param {(rest: (() => void)[]) => void} events.ended with what waited for the end
   * @param {(error: Error) => void} events.failed the file could not be read, or has become shorter
   */
  constructor(response, { fd, offset, bytes }, { passed, ended, failed }) {
    this.#response = response;
    this.#left = bytes;
    this.#stream = fs.createReadStream('', { fd, start: offset, end: offset + bytes - 1 });
    if (response.destroyed) {
      this.stop();
      return;
    }
    response.once('close', this.#onClose);
    this.#stream.on('data', (chunk) => {
      this.#left -= chunk.length;
      if (!response.write(chunk)) {
        this.#stream.pause();
        response.once('drain', () => this.#stream.resume());
      }
      passed(chunk.length);
    });
    this.#stream.on('error', (error) => {
      response.off('close', this.#onClose);
      failed(error);
    });
    this.#stream.on('end', () => {
      response.off('close', this.#onClose);
      // A body that is shorter than it was to be must not look whole.
      if (this.#left > 0) failed(new Error(`the file has become shorter while it was sent, by ${this.#left} bytes`));
      else ended(this.#later.splice(0).map(({ run }) => run));
    });
  }

  /**
   * @param {() => void} run once the file has been sent
   * @param {() => void} [drop] instead, when it never will be
   */
  after(run, drop) {
    if (this.#stream.destroyed && this.#left > 0) drop?.();
    else this.#later.push({ run, drop });
  }

  stop() {
    this.#response.off('close', this.#onClose);
    this.#stream.destroy();
    for (const { drop } of this.#later.splice(0)) drop?.();
  }
}

module.exports = { FileSender };
