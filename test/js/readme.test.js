'use strict';

const { once } = require('node:events');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const { WebSocket } = require('ws');

const { Child } = require('../helpers/child');
const { fetchRaw, headerValues } = require('../helpers/raw-http');
const { ROOT, VENV_PYTHON } = require('../helpers/uvicorn');

const PRELOAD = path.resolve(__dirname, '../helpers/announce-port.js');
/** Blocks of the README that are modules for the others. */
const PYTHON_FILES = ['main.py', 'tools.py'];
const LISTENING = /^listening on port (\d+)$/m;

/** Code of README.md by the name in the comment before it. */
function markedBlocks() {
  const readme = fs.readFileSync(path.join(ROOT, 'README.md'), 'utf8');
  const blocks = {};
  for (const [, name, , code] of readme.matchAll(/^<!-- test: (\S+) -->\n```(\w+)\n([\s\S]*?)^```$/gm)) {
    blocks[name] = code;
  }
  const unmarked = readme.replace(/^<!-- test: \S+ -->\n```[\s\S]*?^```$/gm, '').match(/^```(js|python)$/gm);
  return { blocks, unmarked: unmarked ?? [] };
}

const { blocks, unmarked } = markedBlocks();

let project;
const running = [];

beforeAll(() => {
  project = fs.mkdtempSync(path.join(os.tmpdir(), 'readme-'));
  fs.mkdirSync(path.join(project, 'node_modules'));
  for (const name of ['express', 'fastify']) {
    fs.symlinkSync(path.join(ROOT, 'node_modules', name), path.join(project, 'node_modules', name));
  }
  fs.symlinkSync(ROOT, path.join(project, 'node_modules', 'node-asgi'));
  for (const name of PYTHON_FILES) fs.writeFileSync(path.join(project, name), blocks[name]);
});

afterEach(async () => {
  for (const child of running.splice(0)) {
    child.kill('SIGKILL');
    await child.ended();
  }
});

afterAll(() => fs.rmSync(project, { recursive: true, force: true }));

/** Runs a block as a program in a project of its own. */
function run(name) {
  const file = path.join(project, `${name}.js`);
  fs.writeFileSync(file, blocks[name]);
  const child = new Child(['--require', PRELOAD, file], {
    cwd: project, env: { ...process.env, NODE_ASGI_PYTHON: VENV_PYTHON },
  });
  running.push(child);
  return child;
}

const serves = (...requests) => async (child) => {
  const [, port] = await child.printed(LISTENING);
  for (const [target, expected] of requests) {
    const response = await fetchRaw(Number(port), { target });
    expect(response.status).toBe(200);
    if (typeof expected === 'string') expect(response.body.toString()).toBe(expected);
    else expect(JSON.parse(response.body)).toEqual(expected);
  }
};

/** What each block has to do when it runs. */
const EXPECTATIONS = {
  express: serves(['/', 'Hello from Node'], ['/api/hello/you', { hello: 'you' }]),
  fastify: async (child) => {
    const [, port] = await child.printed(LISTENING);
    const response = await fetchRaw(Number(port), { target: '/hello/you' });
    expect(headerValues(response, 'content-type')).toEqual(['application/json']);
    expect(JSON.parse(response.body)).toEqual({ hello: 'you' });
  },
  http: serves(['/hello/you', { hello: 'you' }], ['/count', '1\n2\n3\n']),
  streaming: serves(['/', 'Python counts 1\nPython counts 2\nPython counts 3\ndone\n']),
  websocket: async (child) => {
    const [, port] = await child.printed(LISTENING);
    const client = new WebSocket(`ws://127.0.0.1:${port}/chat`);
    client.on('open', () => client.send('hello'));
    const [message] = await once(client, 'message');
    expect(message.toString()).toBe('You said hello');
    client.close();
    await once(client, 'close');
  },
  call: async (child) => {
    expect(await child.ended(20_000)).toEqual({ code: 0, signal: null });
    expect(child.stdout).toBe('42\nline 0\nline 1\n');
  },
  script: async (child) => {
    expect(await child.ended(20_000)).toEqual({ code: 0, signal: null });
    expect(child.stdout).toBe("200 { hello: 'script' }\n");
  },
  close: async (child) => {
    await serves(['/hello/you', { hello: 'you' }])(child);
    child.kill('SIGTERM');
    expect(await child.ended()).toEqual({ code: 0, signal: null });
    expect(child.stdout).toMatch(/timedOut: false, lifespan: 'complete'/);
  },
};

test('every block of code in README.md is run by a test', () => {
  expect(unmarked).toEqual([]);
  expect(Object.keys(blocks).sort()).toEqual([...PYTHON_FILES, ...Object.keys(EXPECTATIONS)].sort());
});

test.each(Object.keys(EXPECTATIONS))('the example "%s" of README.md does what it says', async (name) => {
  const child = run(name);
  await EXPECTATIONS[name](child);
  expect(child.stderr).toBe('');
});

test('the options in README.md are those of the types', () => {
  const types = fs.readFileSync(path.join(ROOT, 'index.d.ts'), 'utf8');
  const body = /interface PythonHandlerOptions \{([\s\S]*?)^\}/m.exec(types)[1];
  const declared = [...body.matchAll(/^ {2}(\w+)\?:/gm)].map(([, name]) => name);
  const readme = fs.readFileSync(path.join(ROOT, 'README.md'), 'utf8');
  const table = readme.slice(readme.indexOf('| option |'));
  const rows = [...table.matchAll(/^\| `(\w+)`(?:, or `(\w+)`)? \|/gm)].flatMap(([, ...names]) => names.filter(Boolean));
  expect(rows.sort()).toEqual(declared.sort());
});
