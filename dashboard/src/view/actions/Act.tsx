// A button for something that may be refused. It stays focusable then, so that the reason can be read.

import type { ComponentChildren } from 'preact';
import { Icon } from '../Icon';
import type { IconName } from '../Icon';

interface ActProps {
  label: string;
  icon?: IconName;
  target: string;
  /** Why it cannot be used, or null. */
  refused: string | null;
  onClick: () => void;
  kind?: 'danger' | 'primary';
  submit?: boolean;
  /** Where the focus goes when a box with buttons is put away. */
  isAnchor?: boolean;
  isFail?: boolean;
  children?: ComponentChildren;
}

export function Act({ label, icon, target, refused, onClick, kind, submit, isAnchor, isFail, children }: ActProps) {
  return (
    <button
      type={submit === true ? 'submit' : 'button'}
      class={kind === undefined ? 'button' : `button ${kind}`}
      aria-disabled={refused !== null}
      title={refused ?? ''}
      aria-label={`${label} ${target}${refused === null ? '' : `, cannot be used: ${refused}`}`}
      data-anchor={isAnchor}
      data-fail={isFail}
      onClick={(event) => {
        if (refused !== null) event.preventDefault();
        else onClick();
      }}
    >
      {icon !== undefined && <Icon name={icon} size={14} />} {label}
      {children}
    </button>
  );
}

/** Before what has the focus goes away, gives it to the first action of the same backend. */
export function focusAnchor(from: EventTarget | null): void {
  if (!(from instanceof HTMLElement)) return;
  from.closest('[data-actions]')?.querySelector<HTMLElement>('[data-anchor]')?.focus();
}
