'use strict';

/* global document -- functions that run in the page */

/** The page of `npm start` in a real browser: request, streamed response, chat and graph; W- lines with its WebSocket. */

const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');

const { chromium } = require('playwright-core');

const { PythonHandler } = require('../..');
const { Child } = require('../helpers/child');
const { listen } = require('../helpers/servers');
const { venvPython } = require('../../scripts/setup');

const EXPRESS = path.resolve(__dirname, '../../examples/express');
const SCREENSHOT = path.resolve(__dirname, '../../build/test/demo.png');
const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((file) => fs.existsSync(file));

let browser;
beforeAll(async () => {
  expect(CHROMIUM).toBeDefined();
  browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
}, 60_000);
afterAll(() => browser?.close());

describe('the demo page', () => {
  let child;
  let url;
  beforeAll(async () => {
    child = new Child([path.join(EXPRESS, 'server.js')], { cwd: EXPRESS, env: { ...process.env, PORT: '0', NODE_ASGI_PYTHON: venvPython } });
    [url] = await child.printed(/^http:\/\/localhost:\d+\/$/m);
  });
  afterAll(async () => {
    child.kill('SIGTERM');
    expect(await child.ended(15_000)).toEqual({ code: 0, signal: null });
  });

  test('request, stream, chat between two pages, and a graph that moves', async () => {
    const [page, other] = [await browser.newPage({ viewport: { width: 1100, height: 800 } }), await browser.newPage()];
    const problems = [];
    page.on('pageerror', (error) => problems.push(error.message));
    page.on('console', (message) => { if (message.type() === 'error') problems.push(message.text()); });
    await Promise.all([page.goto(url), other.goto(url)]);
    await expect(page.textContent('h1')).resolves.toMatch(/^FastAPI on Python 3\.\d+\.\d+, served by Express$/);

    await page.fill('#hello input', 'Grace Hopper');
    await page.click('#hello button');
    await page.waitForFunction(() => document.getElementById('hello-answer').textContent.includes('"hello": "Grace Hopper"'));

    await page.click('#stream');
    await page.waitForFunction(() => document.getElementById('stream-answer').textContent.includes('piece 2'));
    // It has come in pieces: the last is not there yet.
    expect(await page.textContent('#stream-answer')).not.toContain('piece 10');
    await page.waitForFunction(() => document.getElementById('stream-answer').textContent.includes('piece 10'));

    for (const one of [page, other]) await one.waitForFunction(() => document.getElementById('chat-log').textContent.includes('connected'));
    await other.fill('#chat input', 'hello from the other page');
    await other.press('#chat input', 'Enter');
    await page.waitForFunction(() => document.getElementById('chat-log').textContent.includes('hello from the other page'));

    const answered = async () => Number(await page.textContent('#answered'));
    const before = await answered();
    await page.waitForFunction((count) => Number(document.getElementById('answered').textContent) > count + 20, before);
    expect(Number(await page.textContent('#latency'))).toBeGreaterThan(0);
    const painted = await page.evaluate(() => {
      const canvas = document.getElementById('graph');
      return canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.filter((byte) => byte > 0).length;
    });
    expect(painted).toBeGreaterThan(1000);

    fs.mkdirSync(path.dirname(SCREENSHOT), { recursive: true });
    await page.screenshot({ path: SCREENSHOT });
    expect(fs.statSync(SCREENSHOT).size).toBeGreaterThan(20_000);
    expect(problems).toEqual([]);
  }, 60_000);
});

describe('the WebSocket of a browser', () => {
  let handler;
  let server;
  beforeAll(async () => {
    handler = new PythonHandler({ docroot: path.resolve(__dirname, '../../fixtures/websockets'), target: 'apps:starlette_app()', python: venvPython });
    await handler.ready();
    const node = http.createServer((req, res) => { res.writeHead(200, { 'content-type': 'text/html' }); res.end('<h1>here</h1>'); });
    handler.attach(node);
    server = await listen(node);
  });
  afterAll(async () => {
    await handler.close();
    await server.close();
  });

  test('W-04 W-09 W-12 W-17 W-21 text, binary, subprotocol, close code and reason, refusal', async () => {
    const page = await browser.newPage();
    await page.goto(`http://127.0.0.1:${server.port}/`);
    const seen = await page.evaluate(async (origin) => {
      const event = (target, type) => new Promise((resolve) => { target.addEventListener(type, resolve, { once: true }); });
      const echo = new WebSocket(`${origin}/echo`);
      echo.binaryType = 'arraybuffer';
      await event(echo, 'open');
      echo.send('grün 🐍');
      const text = (await event(echo, 'message')).data;
      echo.send(new Uint8Array([0, 255]));
      const bytes = [...new Uint8Array((await event(echo, 'message')).data)];
      echo.send('');
      const empty = (await event(echo, 'message')).data;
      echo.close(3000, 'done');
      const ended = await event(echo, 'close');
      const json = new WebSocket(`${origin}/json`, ['other', 'json']);
      await event(json, 'open');
      json.send('[1]');
      const answer = (await event(json, 'message')).data;
      const closed = await event(new WebSocket(`${origin}/close`), 'close');
      const refused = await event(new WebSocket(`${origin}/refuse`), 'close');
      return {
        text, bytes, empty, protocol: json.protocol, answer: JSON.parse(answer),
        ended: [ended.code, ended.wasClean], closed: [closed.code, closed.reason], refused: refused.code,
      };
    }, `ws://127.0.0.1:${server.port}`);
    expect(seen).toEqual({
      text: 'grün 🐍', bytes: [0, 255], empty: '', protocol: 'json', answer: { got: [1] },
      ended: [3000, true], closed: [4001, 'had enough'], refused: 1006,
    });
  }, 60_000);
});
