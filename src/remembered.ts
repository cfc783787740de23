/**
 * What `look` finds, for a while: many who ask at once or one after the other share one look. A look that fails is not kept.
 *
 * @param ageMs how old an answer may be
 */
export function remembered<T>(ageMs: number, look: () => Promise<T>): () => Promise<T> {
  let current: { readonly answer: Promise<T>; readonly until: number } | undefined;
  return () => {
    if (current && performance.now() < current.until) return current.answer;
    const answer = look();
    const entry = { answer, until: performance.now() + ageMs };
    current = entry;
    answer.catch(() => {
      if (current === entry) current = undefined;
    });
    return answer;
  };
}
