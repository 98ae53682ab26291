'use strict';

/**
 * @param {Headers | Iterable<[string, string | readonly string[]]> | Record<string, string | readonly string[]> | null} [init]
 * @returns {string[]} a new array: name, value, name, value …
 */
function flatten(init) {
  const flat = [];
  if (init == null) return flat;
  if (typeof init[Symbol.iterator] === 'function') {
    for (const [name, value] of init) addTo(flat, name, value);
  } else {
    for (const name of Object.keys(init)) addTo(flat, name, init[name]);
  }
  return flat;
}

function addTo(flat, name, value) {
  if (Array.isArray(value)) {
    for (const one of value) flat.push(String(name), String(one));
  } else {
    flat.push(String(name), String(value));
  }
}

/**
 * Header fields of a request or response: case-insensitive, in order, repeated fields kept apart.
 */
class Headers {
  /** @type {string[]} name, value, name, value … */
  #flat;

  /**
   * @param {Headers | Iterable<[string, string]> | Record<string, string | readonly string[]> | null} [init]
   */
  constructor(init) {
    this.#flat = flatten(init);
  }

  /**
   * Takes over a flat array without copying it.
   * @param {string[]} flat name, value, name, value …
   */
  static fromFlat(flat) {
    const headers = new Headers(null);
    headers.#flat = flat;
    return headers;
  }

  /** @returns {string[]} name, value, name, value …; the array that this object uses, not a copy */
  toFlat() {
    return this.#flat;
  }

  /** Number of different names. */
  get size() {
    return new Set(this.#names()).size;
  }

  /** @param {string} name @returns {string | undefined} the last value */
  get(name) {
    return this.getAll(name).at(-1);
  }

  /** @param {string} name @returns {string[]} every value, in order */
  getAll(name) {
    const wanted = String(name).toLowerCase();
    const values = [];
    for (let i = 0; i < this.#flat.length; i += 2) {
      if (this.#flat[i].toLowerCase() === wanted) values.push(this.#flat[i + 1]);
    }
    return values;
  }

  /** @param {string} name @returns {string | undefined} the values joined by commas */
  getLine(name) {
    const values = this.getAll(name);
    return values.length > 0 ? values.join(', ') : undefined;
  }

  /** @returns {string[]} the values of every set-cookie field */
  getSetCookie() {
    return this.getAll('set-cookie');
  }

  /** @param {string} name */
  has(name) {
    return this.getAll(name).length > 0;
  }

  /** Replaces every value of a name. @param {string} name @param {string | readonly string[]} value */
  set(name, value) {
    this.delete(name);
    for (const one of Array.isArray(value) ? value : [value]) this.add(name, one);
    return this;
  }

  /** @param {string} name @param {string} value */
  add(name, value) {
    this.#flat.push(String(name), String(value));
    return this;
  }

  /** @param {string} name @returns {boolean} whether there was one */
  delete(name) {
    const wanted = String(name).toLowerCase();
    const kept = [];
    for (let i = 0; i < this.#flat.length; i += 2) {
      if (this.#flat[i].toLowerCase() !== wanted) kept.push(this.#flat[i], this.#flat[i + 1]);
    }
    const had = kept.length < this.#flat.length;
    this.#flat = kept;
    return had;
  }

  clear() {
    this.#flat = [];
  }

  /** Each field by itself, lower-cased, in order. @returns {IterableIterator<[string, string]>} */
  *entries() {
    for (let i = 0; i < this.#flat.length; i += 2) yield [this.#flat[i].toLowerCase(), this.#flat[i + 1]];
  }

  /** @returns {IterableIterator<string>} each name once */
  *keys() {
    yield* new Set(this.#names());
  }

  /** @returns {IterableIterator<string>} the comma-joined values of each name */
  *values() {
    for (const name of this.keys()) yield /** @type {string} */ (this.getLine(name));
  }

  /** @param {(value: string, name: string, headers: Headers) => void} callback */
  forEach(callback) {
    for (const name of this.keys()) callback(/** @type {string} */ (this.getLine(name)), name, this);
  }

  [Symbol.iterator]() {
    return this.entries();
  }

  /** @returns {Record<string, string | string[]>} repeated names as arrays */
  toJSON() {
    /** @type {Record<string, string | string[]>} */
    const json = {};
    for (const name of this.keys()) {
      const all = this.getAll(name);
      json[name] = all.length === 1 ? all[0] : all;
    }
    return json;
  }

  #names() {
    return this.#flat.filter((_, i) => i % 2 === 0).map((name) => name.toLowerCase());
  }
}

module.exports = { Headers, flatten };
