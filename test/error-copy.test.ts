import { types } from 'node:util';
import { expect, it } from 'vitest';
import { errorCopy } from '../src/error-copy.js';
import { Gathered } from '../src/gathered.js';
import { QueueUnavailableError } from '../src/index.js';

it('a copy of an error is one of the same class, with all that belongs to it', () => {
  const error = new QueueUnavailableError('Redis refused', { refused: true, cause: new Error('why') });
  const copy = errorCopy(error);
  expect(copy).not.toBe(error);
  expect(copy).toBeInstanceOf(QueueUnavailableError);
  expect(types.isNativeError(copy)).toBe(true);
  expect(copy).toMatchObject({ name: error.name, code: error.code, message: error.message, refused: true });
  expect([copy.cause, copy.stack]).toEqual([error.cause, error.stack]);
  copy.cause = undefined;
  expect(error.cause).toBeInstanceOf(Error);
});

it('what is no error is passed on as it is', () => {
  expect(errorCopy(undefined)).toBeUndefined();
  expect(errorCopy('text')).toBe('text');
});

it('callers whose questions fail together each have an error of their own', async () => {
  const gathered = new Gathered<number, number>(() => Promise.reject(new Error('no answer')));
  const results = await Promise.allSettled([1, 2, 3].map((question) => gathered.ask(question)));
  const reasons = results.map((result) => (result as PromiseRejectedResult).reason);
  expect(reasons.map(({ message }) => message)).toEqual(Array(3).fill('no answer'));
  expect(new Set(reasons).size).toBe(3);
});
