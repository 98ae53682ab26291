'use strict';

const fs = require('node:fs');
const path = require('node:path');

const { codes } = require('../..');

const read = (name) => fs.readFileSync(path.join(__dirname, '..', '..', name), 'utf8');

describe.each(Object.entries(codes))('%s', (code, { status, about }) => {
  test('has its row in docs/errors.md', () => {
    expect(read('docs/errors.md')).toContain(`| \`${code}\` | ${status} | ${about} |`);
  });

  test('has its type in index.d.ts', () => {
    expect(read('index.d.ts')).toContain(`'${code}'`);
  });
});
