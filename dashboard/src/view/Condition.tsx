// How a backend is, and what operators want of it: two facts, told apart.

import { count } from '../format';
import type { Backend, BackendState } from '../wire/types';
import { Icon, STATE_ICON } from './Icon';

export const STATE_WORD: Record<BackendState, string> = {
  up: 'Up',
  failing: 'Failing',
  down: 'Down',
  ejected: 'Ejected',
  unknown: 'Not checked yet',
};

export const STATE_TONE: Record<BackendState, string> = {
  up: 'good',
  failing: 'warn',
  down: 'bad',
  ejected: 'bad',
  unknown: 'off',
};

export function Condition({ state }: { state: BackendState }) {
  return (
    <span class={`condition tone-${STATE_TONE[state]}`}>
      <Icon name={STATE_ICON[state]} size={14} /> {STATE_WORD[state]}
    </span>
  );
}

/** What operators want, in words; null while they want nothing special. */
export function intentWord(backend: Backend): string | null {
  if (backend.ejected_by_operator) return 'Ejected by an operator';
  if (backend.intent === 'disabled') return 'Disabled';
  if (backend.intent === 'draining') return backend.in_flight > 0 ? `Draining, ${count(backend.in_flight)} left` : 'Drained';
  return null;
}

export function IntentTag({ backend }: { backend: Backend }) {
  const word = intentWord(backend);
  if (word === null) return null;
  return (
    <span class="tag tone-moved" data-testid="intent">
      <Icon name="person" size={12} /> {word}
    </span>
  );
}
