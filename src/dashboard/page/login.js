import { ApiError, inWords, post } from './api.js';
import { find, setText } from './elements.js';

const token = /** @type {HTMLInputElement} */ (find('#token'));
token.focus();

find('#login').addEventListener('submit', async (event) => {
  event.preventDefault();
  setText(find('#problem'), '');
  try {
    await post('session', { token: token.value });
    location.replace(`./${location.hash}`);
  } catch (error) {
    const wrong = error instanceof ApiError && error.status === 401;
    setText(find('#problem'), wrong ? 'That is not the token.' : inWords(error));
    token.select();
  }
});
