import { describe, expect, it } from 'vitest';
import { Access } from '../../src/dashboard/access.js';
import { testPlace } from '../store/place.js';
import { PAGE_HEADERS, PROTECTED, type Serving, serveDashboard, TOKEN } from './serving.js';

const BEARER = { authorization: `Bearer ${TOKEN}` };
async function withToken(): Promise<Serving> {
  return serveDashboard(await testPlace(), { token: TOKEN });
}

/** Signs in as the page does. @returns what it sends from then on */
async function signIn({ post }: Serving, headers: Record<string, string> = {}) {
  const { status, headers: answered } = await post('api/session', { token: TOKEN }, headers);
  const [cookie = ''] = answered['set-cookie'] ?? [];
  return { status, cookie, headers: { cookie: cookie.split(';', 1)[0] as string } };
}

describe('with a token', () => {
  it('answers nothing without it, or with a wrong one', async () => {
    const dashboard = await withToken();
    for (const path of PROTECTED) {
      const attempts: Record<string, string>[] = [
        {},
        { authorization: 'Bearer wrong' },
        { authorization: `Basic ${TOKEN}` },
        { cookie: `ckpt_dashboard_${dashboard.port}=wrong` },
      ];
      for (const headers of attempts) {
        expect(await dashboard.get(path, headers)).toMatchObject({
          status: 401,
          headers: { 'www-authenticate': 'Bearer' },
          body: { error: { code: 'UNAUTHORIZED' } },
        });
      }
    }
  });

  it('answers who sends it', async () => {
    const dashboard = await withToken();
    expect(await dashboard.get('api/overview', BEARER)).toMatchObject({
      status: 200,
      body: { signedIn: false },
    });
    expect((await dashboard.get('queues/api/queues', BEARER)).status).toBe(200);
    expect((await dashboard.get('queues/', BEARER)).text).toContain('id="root"');
    expect((await dashboard.get('', BEARER)).text).toContain('id="view"');
    expect((await dashboard.get('api/nothing', BEARER)).status).toBe(404);
  });

  it('exchanges it for a session, until that is ended', async () => {
    const dashboard = await withToken();
    const { status, cookie, headers } = await signIn(dashboard);
    expect(status).toBe(204);
    expect(cookie).toMatch(
      /^ckpt_dashboard_\d+=[\w-]{43}; Path=\/; Max-Age=43200; HttpOnly; SameSite=Strict$/,
    );
    expect(await dashboard.get('api/overview', headers)).toMatchObject({
      status: 200,
      body: { signedIn: true },
    });
    expect((await dashboard.get('queues/api/queues', headers)).status).toBe(200);

    const ended = await dashboard.ask('api/session', {
      method: 'DELETE',
      headers: { ...PAGE_HEADERS, ...headers },
    });
    expect(ended).toMatchObject({
      status: 204,
      headers: { 'set-cookie': [expect.stringContaining('Max-Age=0')] },
    });
    expect((await dashboard.get('api/overview', headers)).status).toBe(401);
  });

  it('sends the cookie over encrypted connections alone, where the browser has one', async () => {
    const dashboard = await withToken();
    const { cookie } = await signIn(dashboard, {
      origin: 'https://ops.example',
      'sec-fetch-site': 'same-origin',
    });
    expect(cookie).toContain('; Secure');
  });

  it('gives no session for a wrong token, and soon takes no more tries', async () => {
    const dashboard = await withToken();
    for (let n = 0; n < 10; n++) {
      const answer = await dashboard.post('api/session', { token: `wrong-${n}` });
      expect(answer).toMatchObject({ status: 401, body: { error: { code: 'UNAUTHORIZED' } } });
      expect(answer.headers['set-cookie']).toBeUndefined();
    }
    expect(await dashboard.post('api/session', { token: 'wrong' })).toMatchObject({
      status: 429,
      body: { error: { code: 'TOO_MANY_ATTEMPTS' } },
    });
  });

  it('lets the right token in after any number of wrong ones from the same address', async () => {
    const dashboard = await withToken();
    const wrong = { authorization: 'Bearer wrong' };
    for (let n = 0; n < 12; n++) {
      await dashboard.post('api/session', { token: 'wrong' });
      await dashboard.get('api/overview', wrong);
    }
    expect((await dashboard.get('api/overview', wrong)).status).toBe(429);
    expect((await dashboard.get('api/overview', BEARER)).status).toBe(200);
    expect((await signIn(dashboard)).cookie).toContain('ckpt_dashboard');
  });

  it('shows strangers the page to sign in, wherever they come to', async () => {
    const dashboard = await withToken();
    for (const [path, location] of [
      ['', './login.html'],
      ['index.html', './login.html'],
      ['queues/', '../login.html'],
      ['queues/queue/some', '../../login.html'],
    ] as const) {
      expect(await dashboard.get(path)).toMatchObject({ status: 302, headers: { location } });
    }
    expect((await dashboard.get('login.html')).text).toContain('id="login"');
  });

  it('is not needed by a request that names another host', async () => {
    const dashboard = await withToken();
    expect((await dashboard.get('api/overview', { ...BEARER, host: 'ops.example' })).status).toBe(200);
  });
});

describe('without a token', () => {
  it.each(['127.0.0.1', 'localhost', '[::1]', '127.0.0.1:4983', 'LOCALHOST:80'])(
    'answers a request for %s',
    async (host) => {
      const dashboard = await serveDashboard(await testPlace());
      expect((await dashboard.get('api/overview', { host })).status).toBe(200);
    },
  );

  it.each(['evil.example', 'localhost.evil.example', '127.0.0.1.evil.example', '10.0.0.5', 'a b'])(
    'refuses a request for "%s", which a rebound name could send',
    async (host) => {
      const dashboard = await serveDashboard(await testPlace());
      for (const path of [...PROTECTED, '', 'login.html']) {
        expect(await dashboard.get(path, { host })).toMatchObject({
          status: 403,
          body: { error: { code: 'FORBIDDEN_HOST' } },
        });
      }
    },
  );

  it.each(['x-forwarded-for', 'x-real-ip', 'forwarded'])(
    'refuses what a proxy that names this machine brings from elsewhere, as %s tells',
    async (header) => {
      const asked = { host: '127.0.0.1', [header]: '10.0.0.5' };
      const dashboard = await serveDashboard(await testPlace());
      expect(await dashboard.get('api/overview', asked)).toMatchObject({
        status: 403,
        body: { error: { code: 'FORBIDDEN_HOST' } },
      });
      const guarded = await withToken();
      expect((await guarded.get('api/overview', { ...asked, ...BEARER })).status).toBe(200);
    },
  );

  it('does not start where others could reach it', async () => {
    const place = await testPlace();
    for (const host of ['0.0.0.0', '::', '10.0.0.5', 'localhost.evil.example']) {
      await expect(serveDashboard(place, { host })).rejects.toMatchObject({
        code: 'INVALID_CONFIG',
        field: 'CKPT_DASHBOARD_TOKEN',
        message: expect.stringContaining('openssl rand -hex 32'),
      });
    }
    await serveDashboard(place, { host: '0.0.0.0', token: TOKEN });
  });
});

it('says whether one has to sign in', async () => {
  const dashboard = await withToken();
  const access = async (headers = {}) => (await dashboard.get('api/session', headers)).body;
  expect(await access()).toEqual({ access: false });
  expect(await access((await signIn(dashboard)).headers)).toEqual({ access: true });
  const open = await serveDashboard(await testPlace());
  expect((await open.get('api/session')).body).toEqual({ access: true });
});

it('every answer tells the browser to trust nothing but the dashboard', async () => {
  const dashboard = await withToken();
  for (const path of ['', 'login.html', 'api/overview', 'api/nothing', 'nothing.js', 'vendor/uPlot.esm.js']) {
    expect((await dashboard.get(path)).headers).toMatchObject({
      'content-security-policy': expect.stringMatching(
        /^default-src 'none'; script-src 'self'; style-src 'self'; .*base-uri 'none'$/,
      ),
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'SAMEORIGIN',
      'referrer-policy': 'no-referrer',
    });
  }
  const { headers } = await dashboard.get('queues/', BEARER);
  expect(headers['content-security-policy']).toContain("script-src 'self'; style-src 'self' 'unsafe-inline'");
});

it('serves of packages only what the page draws with', async () => {
  const dashboard = await serveDashboard(await testPlace());
  expect((await dashboard.get('vendor/uPlot.esm.js')).headers['content-type']).toContain('javascript');
  expect((await dashboard.get('vendor/uPlot.min.css')).headers['content-type']).toContain('text/css');
  for (const path of [
    'vendor/uPlot.d.ts',
    'vendor/../package.json',
    'vendor/%2e%2e/package.json',
    '../dashboard.ts',
  ]) {
    expect([403, 404]).toContain((await dashboard.get(path)).status);
  }
});

it('leads from the root to the page, by relative paths', async () => {
  const dashboard = await serveDashboard(await testPlace());
  for (const path of ['/', '/dashboard']) {
    expect(await dashboard.ask(path)).toMatchObject({ status: 302, headers: { location: './dashboard/' } });
  }
});

it('a session ends after twelve hours, and tries are counted by the minute', () => {
  let now = 0;
  const access = new Access(TOKEN, () => now);
  const session = access.signIn(TOKEN, 'here') as string;
  const identify = (address = 'here') => access.identify({ authorization: undefined, session, address });
  now = 12 * 3_600_000 - 1;
  expect(identify()).toBe('session');
  now++;
  expect(identify()).toBeUndefined();

  for (let n = 0; n < 10; n++) expect(access.signIn('wrong', 'here')).toBeUndefined();
  expect(() => access.signIn('wrong', 'here')).toThrow('too many wrong tokens');
  expect(access.signIn('wrong', 'elsewhere')).toBeUndefined();
  now += 60_000;
  expect(access.signIn('wrong', 'here')).toBeUndefined();
});
