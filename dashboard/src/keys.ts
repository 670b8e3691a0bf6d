// Keys that act anywhere on the page. Single letters can be turned off (WCAG 2.1.4), because speech
// input and a slip of the hand press them, too.

import { signal } from '@preact/signals';

interface Shortcut {
  /** As `KeyboardEvent.key` has it; two with a space between are pressed one after the other: "g l". */
  keys: string;
  /** What the help says of it. */
  says: string;
  /** Answers false where there was nothing to do, and the key is left to the browser. */
  act: () => boolean | void;
}

const STORED = 'bascule-keys';
/** A second key counts only this long after the first. */
const CHORD_MS = 1_500;

export const shortcuts = signal<readonly Shortcut[]>([]);
export const keysAreOn = signal(stored());

function stored(): boolean {
  try {
    return localStorage.getItem(STORED) !== 'off';
  } catch {
    return true;
  }
}

export function turnKeys(on: boolean): void {
  keysAreOn.value = on;
  try {
    if (on) localStorage.removeItem(STORED);
    else localStorage.setItem(STORED, 'off');
  } catch {
    // A browser that keeps nothing still obeys for this visit.
  }
}

/** Adds shortcuts while a part of the page is there; of two for the same keys, the later one acts. */
export function addShortcuts(added: readonly Shortcut[]): () => void {
  shortcuts.value = [...shortcuts.value, ...added];
  return () => {
    shortcuts.value = shortcuts.value.filter((it) => !added.includes(it));
  };
}

/** Keys that go on while they are held. */
const REPEATED: ReadonlySet<string> = new Set(['j', 'k', 'n', 'N', '[', ']']);

type Pressed = { keys: string; at: number } | null;

/** What was pressed, with the first half of a chord before it if there is one; and what to remember. */
export function combine(before: Pressed, key: string, at: number, known: readonly string[]): { keys: string; next: Pressed } {
  const chord = before !== null && at - before.at <= CHORD_MS ? `${before.keys} ${key}` : null;
  if (chord !== null && known.includes(chord)) return { keys: chord, next: null };
  return { keys: key, next: known.some((it) => it.startsWith(`${key} `)) ? { keys: key, at } : null };
}

/** Where keys have a meaning of their own. */
function isTaken(target: EventTarget | null, key: string): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target.closest('input:not([type=radio],[type=checkbox]), select, textarea, [contenteditable]') !== null) return true;
  return (key === ' ' || key === 'Enter') && target.closest('button, a, summary, label, input, [role=log]') !== null;
}

export function startKeys(): void {
  let before: Pressed = null;
  addEventListener('keydown', (event) => {
    // A key that is held gives no order again; it only goes on through a list.
    if (event.repeat && !REPEATED.has(event.key)) return;
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (!keysAreOn.value || isTaken(event.target, event.key) || document.querySelector('dialog[open]') !== null) return;
    const all = shortcuts.value;
    const { keys, next } = combine(before, event.key, event.timeStamp, all.map((it) => it.keys));
    before = next;
    const found = all.findLast((it) => it.keys === keys);
    if (found !== undefined && found.act() !== false) event.preventDefault();
  });
}
