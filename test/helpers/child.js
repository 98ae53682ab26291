'use strict';

const { spawn } = require('node:child_process');

/**
 * A program in a process of its own, with what it has printed.
 */
class Child {
  #child;
  #exit;
  stdout = '';
  stderr = '';

  /** @param {string[]} args @param {import('node:child_process').SpawnOptions} [options] @param {string} [program] */
  constructor(args, options = {}, program = process.execPath) {
    this.#child = spawn(program, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child.stdout.setEncoding('utf8').on('data', (text) => { this.stdout += text; });
    this.#child.stderr.setEncoding('utf8').on('data', (text) => { this.stderr += text; });
    this.#exit = new Promise((resolve, reject) => {
      this.#child.once('error', reject);
      this.#child.once('close', (code, signal) => resolve({ code, signal }));
    });
    this.#exit.catch(() => {});
  }

  /**
   * Resolves with the match when the program has printed what fits; rejects when it ends or takes too long.
   * @param {RegExp} pattern
   */
  async printed(pattern, timeout = 20_000) {
    const deadline = Date.now() + timeout;
    let ending = null;
    this.#exit.then((how) => { ending = how; }, (error) => { ending = { error: error.message }; });
    for (;;) {
      const found = pattern.exec(this.stdout);
      if (found) return found;
      if (ending || Date.now() > deadline) {
        throw new Error(`the program never printed ${pattern} (${JSON.stringify(ending) ?? 'timed out'}):\n` +
          `${this.stdout}${this.stderr}`);
      }
      await new Promise((resolve) => { setTimeout(resolve, 10); });
    }
  }

  /** @param {NodeJS.Signals} signal */
  kill(signal) {
    this.#child.kill(signal);
  }

  /** How the program ended; it is killed when it does not end in time. */
  async ended(timeout = 5_000) {
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), timeout);
    try {
      return await this.#exit;
    } finally {
      clearTimeout(timer);
    }
  }
}

module.exports = { Child };
