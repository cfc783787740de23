import { createHash, randomBytes } from 'node:crypto';

/** A working day; then the token is asked for again. */
export const SESSION_MS = 12 * 3_600_000;
/** Beyond that the oldest ends. */
const MAX_SESSIONS = 1000;

/** Who has signed in, by a random id that only his cookie holds; what is kept here is its hash. They end with the process. */
export class Sessions {
  readonly #until = new Map<string, number>();

  constructor(private readonly now: () => number = () => performance.now()) {}

  /** @returns the id */
  begin(): string {
    const id = randomBytes(32).toString('base64url');
    const [oldest] = this.#until.keys();
    if (oldest !== undefined && this.#until.size >= MAX_SESSIONS) this.#until.delete(oldest);
    this.#until.set(hashOf(id), this.now() + SESSION_MS);
    return id;
  }

  has(id: string): boolean {
    const hash = hashOf(id);
    const until = this.#until.get(hash);
    if (until === undefined) return false;
    if (until > this.now()) return true;
    this.#until.delete(hash);
    return false;
  }

  end(id: string): void {
    this.#until.delete(hashOf(id));
  }
}

function hashOf(id: string): string {
  return createHash('sha256').update(id).digest('base64');
}
