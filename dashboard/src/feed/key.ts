// What the page keeps about each backend goes by this.

/** Names may hold anything but a line break. */
export function keyOf(pool: string, backend: string): string {
  return `${pool}\n${backend}`;
}
