// Light, dark, or what the system says; the choice is kept, and drawn things learn of changes.

import { signal } from '@preact/signals';

export type Theme = 'system' | 'light' | 'dark';
export const THEMES: readonly Theme[] = ['system', 'light', 'dark'];

const KEY = 'bascule-theme';

export const theme = signal<Theme>('system');
/** Grows whenever colours may have changed; canvases redraw on it. */
export const themeVersion = signal(0);

function stored(): Theme {
  try {
    const value = localStorage.getItem(KEY);
    return THEMES.find((it) => it === value) ?? 'system';
  } catch {
    return 'system';
  }
}

function apply(choice: Theme): void {
  if (choice === 'system') delete document.documentElement.dataset['theme'];
  else document.documentElement.dataset['theme'] = choice;
  theme.value = choice;
  themeVersion.value += 1;
}

export function startTheme(): void {
  apply(stored());
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
    themeVersion.value += 1;
  });
}

export function chooseTheme(choice: Theme): void {
  try {
    if (choice === 'system') localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, choice);
  } catch {
    // A browser that keeps nothing still gets the theme for this visit.
  }
  apply(choice);
}

let swatch: HTMLElement | null = null;
/** Asking what a colour computes to makes the browser lay out the page; charts ask for each line and band. */
const known = new Map<string, string>();
let knownAt = -1;

/** The colour a CSS variable resolves to here and now, as canvas understands it. */
export function cssColor(variable: string): string {
  if (knownAt !== themeVersion.peek()) known.clear();
  knownAt = themeVersion.peek();
  const before = known.get(variable);
  if (before !== undefined) return before;
  if (swatch === null) {
    swatch = document.createElement('i');
    swatch.hidden = true;
    document.body.append(swatch);
  }
  swatch.style.color = `var(${variable})`;
  const color = getComputedStyle(swatch).color;
  known.set(variable, color);
  return color;
}
