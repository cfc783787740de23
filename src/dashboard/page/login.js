import { ApiError, get, inWords, post } from './api.js';
import { find, setText } from './elements.js';

const token = /** @type {HTMLInputElement} */ (find('#token'));
token.focus();

// With a link on another site that leads to the dashboard the browser sends no session, though there may be one; from here it does.
get('session').then(
  ({ access }) => access && enter(),
  () => {},
);

find('#login').addEventListener('submit', async (event) => {
  event.preventDefault();
  setText(find('#problem'), '');
  try {
    await post('session', { token: token.value });
    enter();
  } catch (error) {
    const wrong = error instanceof ApiError && error.status === 401;
    setText(find('#problem'), wrong ? 'That is not the token.' : inWords(error));
    token.select();
  }
});

function enter() {
  location.replace(`./${location.hash}`);
}
