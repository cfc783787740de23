import { inWords, remove } from './api.js';
import { element, fill, find, setText } from './elements.js';
import { formatNumber, timeZoneName } from './format.js';

/** What stands around every view: where one is, which queue this is, and what is wrong with the services. */
export class Frame {
  /** What the banners say now. */
  #said = '';

  /** @param {import('./live.js').Live} live */
  constructor(live) {
    this.live = live;
    find('#sign-out').addEventListener('click', signOut);
  }

  /**
   * @param {string} view
   * @param {string} title
   */
  show(view, title) {
    document.title = `${title} – checkpoint-queue`;
    for (const link of document.querySelectorAll('nav a')) {
      const current = link.getAttribute('href') === `#/${view}`;
      if (current) link.setAttribute('aria-current', 'page');
      else link.removeAttribute('aria-current');
    }
  }

  update() {
    const { overview } = this.live;
    this.#showBanners();
    if (!overview) return;
    find('#sign-out').hidden = !overview.signedIn;
    showServices(this.live);
    const deadLetters = overview.now?.deadLetters ?? 0;
    find('#dead-letter-count').hidden = deadLetters === 0;
    setText(find('#dead-letter-count'), formatNumber(deadLetters));
    setText(
      find('#place'),
      `Queue ${overview.queue} · table ${overview.table} · times are local (${timeZoneName()})`,
    );
  }

  #showBanners() {
    const texts = problems(this.live);
    if (texts.join('\n') === this.#said) return;
    this.#said = texts.join('\n');
    fill(find('#banners'), ...texts.map((text) => element('p', { class: 'banner' }, text)));
  }
}

/**
 * @param {import('./live.js').Live} live
 * @returns {string[]}
 */
function problems({ overview, problem, unreachable }) {
  if (unreachable) {
    return [
      'The dashboard’s server does not answer. What is shown is as it was before; it is asked again every 2 seconds.',
    ];
  }
  if (problem)
    return [`The overview cannot be read: ${inWords(problem)}. It is asked for again every 2 seconds.`];
  const texts = [];
  if (overview?.redis === 'down') {
    texts.push('Redis does not answer. Saves are not acknowledged; see its log, then ckpt doctor.');
  }
  if (overview?.postgres === 'down') {
    texts.push(
      'PostgreSQL does not answer. What is acknowledged waits in the queue; nothing is lost. See ckpt doctor.',
    );
  }
  if (overview?.postgres === 'refused') {
    texts.push(
      `PostgreSQL refuses the dashboard: ${overview.postgresError}. Check DATABASE_URL; see ckpt doctor.`,
    );
  }
  return texts;
}

/** @param {import('./live.js').Live} live */
function showServices({ overview, problem }) {
  if (!overview) return;
  const states = [
    `Redis ${problem ? 'unknown' : overview.redis}`,
    `PostgreSQL ${problem ? 'unknown' : overview.postgres}`,
  ];
  if (find('#services').textContent === states.join('')) return;
  fill(
    find('#services'),
    ...states.map((text) => element('span', { class: `service ${text.split(' ').at(-1)}` }, text)),
  );
}

async function signOut() {
  await remove('session').catch(() => {}); // the session is left all the same
  location.replace('login.html');
}
