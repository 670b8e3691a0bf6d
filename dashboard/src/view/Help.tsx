// The keys of the page, and the switch that turns them off.

import { signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { addShortcuts, keysAreOn, shortcuts, turnKeys } from '../keys';
import { Icon } from './Icon';
import { useModal } from './modal';

const isOpen = signal(false);

function goTo(hash: string): void {
  location.hash = hash;
}

/** Moves the focus to the next backend's card or row; false where there is none. */
function step(by: 1 | -1): boolean {
  const all = [...document.querySelectorAll<HTMLElement>('[data-backend]')];
  const at = all.findIndex((it) => it.contains(document.activeElement));
  const next = all[at < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(all.length - 1, Math.max(0, at + by))];
  if (next === undefined) return false;
  const target = next.matches('[data-focus]') ? next : next.querySelector<HTMLElement>('[data-focus]');
  target?.focus();
  next.scrollIntoView({ block: 'nearest' });
  return true;
}

/** Presses what a backend's card offers; false where the focus is in none. */
function press(what: string): boolean {
  const button = document.activeElement?.closest('[data-backend]')?.querySelector<HTMLElement>(what);
  if (button === null || button === undefined) return false;
  button.focus();
  button.click();
  return true;
}

export function Help() {
  useEffect(
    () =>
      addShortcuts([
        { keys: '?', says: 'Show these keys', act: () => void (isOpen.value = true) },
        { keys: 'g o', says: 'Go to the overview', act: () => goTo('#/') },
        { keys: 'g l', says: 'Go to the log', act: () => goTo('#/logs') },
        { keys: 'g c', says: 'Go to the configuration', act: () => goTo('#/config') },
        { keys: 'g a', says: 'Go to the audit list', act: () => goTo('#/audit') },
        { keys: 'd', says: 'Drain this backend, or take it back', act: () => press('[data-anchor]') },
        { keys: 'f', says: 'Make this backend fail…', act: () => press('[data-fail]') },
        { keys: 'j', says: 'Next backend', act: () => step(1) },
        { keys: 'k', says: 'Backend before', act: () => step(-1) },
      ]),
    [],
  );
  return isOpen.value ? <HelpDialog /> : null;
}

export function HelpButton() {
  return (
    <button type="button" class="button quiet icon-only keys-button" title="Keys (?)" aria-label="Keys" onClick={() => (isOpen.value = true)}>
      <Icon name="keys" />
    </button>
  );
}

function HelpDialog() {
  const { dialog, close } = useModal(() => (isOpen.value = false));
  return (
    <dialog ref={dialog} class="dialog" aria-labelledby="help-title" onClose={() => (isOpen.value = false)}>
      <h2 id="help-title">Keys</h2>
      <dl class="keys">
        {shortcuts.value.map((it) => (
          <div key={it.keys}>
            <dt>
              {it.keys.split(' ').filter(Boolean).map((key) => <kbd key={key}>{key === 'Escape' ? 'Esc' : key}</kbd>)}
              {it.keys === ' ' && <kbd>Space</kbd>}
            </dt>
            <dd>{it.says}</dd>
          </div>
        ))}
      </dl>
      <label class="check">
        <input type="checkbox" checked={keysAreOn.value} onChange={(event) => turnKeys(event.currentTarget.checked)} />
        Keys act on the page
      </label>
      <div class="dialog-buttons">
        <button type="button" class="button primary" onClick={close}>
          Close
        </button>
      </div>
    </dialog>
  );
}
