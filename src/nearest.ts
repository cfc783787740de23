/** The candidate that takes the fewest edits to become. */
export function nearest(name: string, candidates: readonly string[]): string {
  const [best] = [...candidates].sort((a, b) => distance(name, a) - distance(name, b));
  return best as string;
}

/** `; did you mean X?`, to end an error message with: X is what a misspelt name is likely to be for. Empty where nothing is like it. */
export function didYouMean(name: string, candidates: readonly string[]): string {
  const best: string | undefined = nearest(name, candidates);
  // Beyond half of its letters it is another word.
  const alike = best !== undefined && distance(name.toLowerCase(), best.toLowerCase()) <= name.length / 2;
  return alike ? `; did you mean ${best}?` : '';
}

/** Levenshtein's edit distance. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substituted = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(substituted, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    row = next;
  }
  return row[b.length] as number;
}
