import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { describe, expect, it, onTestFinished } from 'vitest';
import { HttpError, type HttpReply, type HttpRequest } from '../../src/http/exchange.js';
import { HttpServer } from '../../src/http/server.js';
import { patient } from '../patience.js';

/** A server of the test that listens at a free port. */
async function listening(host = '127.0.0.1'): Promise<HttpServer> {
  const server = new HttpServer();
  onTestFinished(() => server.close());
  await server.listen({ host, port: 0 });
  return server;
}

/** Sends exactly this and resolves to all that comes back until the connection ends. */
async function exchange(server: HttpServer, sent: string): Promise<string> {
  const socket = open(server);
  socket.write(sent);
  return text(socket);
}

function open(server: HttpServer): Socket {
  const { hostname, port } = new URL(server.origin);
  const socket = connect(Number(port), hostname);
  onTestFinished(() => void socket.destroy());
  return socket;
}

const json = (body: string, type = 'application/json') => ({
  method: 'POST',
  headers: { 'content-type': type },
  body,
});

describe('a route', () => {
  it('is found by its segments, names before parameters', async () => {
    const { root, origin } = await listening();
    root.get('/letters/:id', (request) => ({ id: request.parameter('id') }));
    root.get('/letters/count', () => ({ count: 1 }));
    root.get('/letters/:id/states/:state', (request) => Object.fromEntries(request.parameters));
    for (const [path, body] of [
      ['/letters/count', { count: 1 }],
      ['/letters/a%2Fb%20%C3%A4', { id: 'a/b ä' }],
      ['/letters/count/states/2', { id: 'count', state: '2' }],
      ['/letters/a/states/..%2f', { id: 'a', state: '../' }],
    ]) {
      expect(await (await fetch(origin + path)).json()).toEqual(body);
    }
    for (const path of ['/', '/letters', '/letters/', '/letters/a/', '/Letters/a', '/letters/a/states/2/']) {
      const expected = path === '/letters/' ? 200 : 404; // an empty parameter is one
      expect({ path, status: (await fetch(origin + path)).status }).toEqual({ path, status: expected });
    }
  });

  it('answers HEAD as GET, without the body', async () => {
    const { root, origin } = await listening();
    root.get('/', () => ({ a: 1 }));
    const answer = await fetch(origin, { method: 'HEAD' });
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-length')).toBe('7');
    expect(await answer.text()).toBe('');
  });

  it('is given the parameters of the query', async () => {
    const { root, origin } = await listening();
    root.get('/', ({ query }) => Object.entries(query));
    const answer = await fetch(`${origin}/?a=1&b=x%20y&a=2&a=3&__proto__=4&c`);
    expect(await answer.json()).toEqual([
      ['a', ['1', '2', '3']],
      ['b', 'x y'],
      ['__proto__', '4'],
      ['c', ''],
    ]);
  });

  it('may send text, bytes, nothing, or lead elsewhere', async () => {
    const { root, origin } = await listening();
    root.get('/text', (_, reply) => reply.type('text/plain').send('täxt'));
    root.get('/bytes', (_, reply) => reply.type('image/png').send(Buffer.from([0, 255])));
    root.get('/nothing', (_, reply) => reply.code(204).send());
    root.get('/elsewhere', (_, reply) => reply.redirect('./text'));
    expect(await (await fetch(`${origin}/text`)).text()).toBe('täxt');
    expect([...new Uint8Array(await (await fetch(`${origin}/bytes`)).arrayBuffer())]).toEqual([0, 255]);
    expect((await fetch(`${origin}/nothing`)).status).toBe(204);
    const { status, headers } = await fetch(`${origin}/elsewhere`, { redirect: 'manual' });
    expect([status, headers.get('location')]).toEqual([302, './text']);
  });

  it('is answered with 503 when it takes too long, and what it says later is ignored', async () => {
    const { root, origin } = await listening();
    let answered: (value: unknown) => void = () => {};
    root.get('/', () => new Promise((resolve) => (answered = resolve)), { timeoutMs: 20 });
    root.onError((error, reply) => reply.code((error as HttpError).statusCode).send());
    expect((await fetch(origin)).status).toBe(503);
    answered({ late: true });
    expect((await fetch(origin)).status).toBe(503);
  });

  it('that fails is told without the error', async () => {
    const { root, origin } = await listening();
    root.get('/', () => Promise.reject(new Error('a secret')));
    const answer = await fetch(origin);
    expect([answer.status, await answer.json()]).toEqual([500, { error: 'unexpected error' }]);
  });
});

describe('hooks', () => {
  it('run from the outermost scope inwards, until one answers or throws', async () => {
    const { root, origin } = await listening();
    const hook = (name: string) => async (request: HttpRequest, reply: HttpReply) => {
      ran.push(name);
      if (request.query.answer === name) reply.code(202).send(name);
      if (request.query.throw === name) throw new HttpError(403, name);
    };
    let ran: string[] = [];
    const outer = root.within('/outer');
    const inner = outer.within('/inner');
    inner.before(hook('inner'));
    outer.before(hook('outer'));
    outer.onError((_, reply) => reply.code(403).send());
    inner.get('/:id', () => ran.push('handler'));
    for (const [query, status, expected] of [
      ['', 200, ['outer', 'inner', 'handler']],
      ['?answer=outer', 202, ['outer']],
      ['?answer=inner', 202, ['outer', 'inner']],
      ['?throw=outer', 403, ['outer']],
    ] as const) {
      ran = [];
      expect((await fetch(`${origin}/outer/inner/7${query}`)).status).toBe(status);
      expect(ran).toEqual(expected);
    }
  });

  it('see what no route answers, however the path is written', async () => {
    const { root, origin } = await listening();
    const scope = root.within('/scope');
    scope.before(async () => {
      throw new HttpError(401, '');
    });
    scope.onError((error, reply) => reply.code((error as HttpError).statusCode).send());
    scope.otherwise((_, reply) => reply.code(404).send());
    scope.get('/known', () => ({}));
    for (const path of [
      '/scope',
      '/scope/',
      '/scope/nothing',
      '/%73cope/known',
      '/scope/known/x',
      '/scope/%zz',
    ]) {
      expect((await fetch(origin + path)).status).toBe(401);
      expect((await fetch(origin + path, { method: 'PUT' })).status).toBe(401);
    }
  });

  it('run before the body is read', async () => {
    const server = await listening();
    server.root.before(async (_, reply) => reply.code(401).send());
    server.root.post('/', () => ({}));
    const head =
      'POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n';
    const socket = open(server);
    socket.write(head);
    const [answer] = await once(socket, 'data');
    expect(String(answer)).toMatch(/^HTTP\/1.1 401 /);
  });
});

describe('a body', () => {
  const echo = async () => {
    const server = await listening();
    server.root.onError((error, reply) => reply.code((error as HttpError).statusCode).send());
    server.root.post('/', ({ body }) => ({ body }));
    server.root.delete('/', ({ body }) => ({ body }));
    return server;
  };

  it('is read as JSON, and may be missing', async () => {
    const { origin } = await echo();
    expect(await (await fetch(origin, json('{"a":[1]}'))).json()).toEqual({ body: { a: [1] } });
    expect(await (await fetch(origin, json('1', 'Application/JSON; charset=utf-8'))).json()).toEqual({
      body: 1,
    });
    for (const method of ['POST', 'DELETE']) {
      expect(await (await fetch(origin, { method })).json()).toEqual({});
    }
  });

  it.each([
    ['that is not JSON', 400, json('{a')],
    ['of another type', 415, json('a=1', 'application/x-www-form-urlencoded')],
    ['of a type that begins as JSON', 415, json('{}', 'application/jsonp')],
    ['of more than 1 MiB', 413, json(JSON.stringify('x'.repeat(2 ** 20)))],
  ])('%s is refused', async (_, status, request) => {
    expect((await fetch((await echo()).origin, request)).status).toBe(status);
  });

  it('of no known length is read up to 1 MiB', async () => {
    const server = await echo();
    const head =
      'POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n';
    const part = (content: string) => `${content.length.toString(16)}\r\n${content}\r\n`;
    const small = `${head}${part('{"a"')}${part(':1}')}0\r\n\r\nGET /end HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`;
    expect(await exchange(server, small)).toContain('{"body":{"a":1}}');
    const large = `${head}${part(' '.repeat(2 ** 20))}${part(' ')}`;
    expect(await exchange(server, large)).toMatch(/^HTTP\/1.1 413 /);
  });

  it('that breaks off harms nobody', async () => {
    const server = await echo();
    const head =
      'POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{';
    const socket = open(server);
    socket.end(head);
    await once(socket.resume(), 'close');
    expect((await fetch(server.origin, json('1'))).status).toBe(200);
  });
});

describe('a server', () => {
  it('on localhost answers at each of its addresses', async () => {
    const { origin, root } = await listening('localhost');
    root.get('/', () => ({}));
    const { port } = new URL(origin);
    expect((await fetch(`http://127.0.0.1:${port}`)).status).toBe(200);
    expect((await fetch(`http://localhost:${port}`)).status).toBe(200);
  });

  it.each([
    ['headers', 'GET / HTTP/1.1\r\nhost: a\r\n'],
    ['body', 'POST / HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{'],
  ])('closes a connection whose %s have not arrived after 10 s', async (_, sent) => {
    const server = await listening();
    server.root.post('/', () => ({}));
    const began = performance.now();
    expect(await exchange(server, sent)).toContain('408');
    // Node itself looks for late requests only every 30 s.
    expect(performance.now() - began).toBeLessThan(patient(14_000));
  });

  it('says why it cannot listen', async () => {
    const { port } = new URL((await listening()).origin);
    const other = new HttpServer();
    await expect(other.listen({ host: '127.0.0.1', port: Number(port) })).rejects.toMatchObject({
      code: 'EADDRINUSE',
    });
    await other.close();
  });

  it('closes whoever holds a connection, or waits for an answer, and what was to be closed with it', async () => {
    const server = await listening();
    let closed = 0;
    server.root.within('/a').onClose(() => closed++);
    server.root.get('/never', () => new Promise(() => {}));
    const idle = open(server);
    await once(idle, 'connect');
    const waiting = fetch(`${server.origin}/never`).catch(() => 'gone');
    await new Promise<void>((resolve) => {
      server.root.before(async () => resolve());
    });
    await Promise.all([server.close(), server.close()]);
    expect(await waiting).toBe('gone');
    expect(closed).toBe(1);
  });
});
