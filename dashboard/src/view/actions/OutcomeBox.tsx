// What became of an order: done and how to take it back, refused and why, or failed. Until it is seen.

import { forget, order, UNDO_MS } from '../../feed/orders';
import type { Outcome } from '../../feed/orders';
import { canForce, commandOf, differences, undoWords, VERB_WORDS } from '../../feed/ordering';
import { ordersRefused, tick } from '../../feed/store';
import type { Backend, Pool } from '../../wire/types';
import { Icon } from '../Icon';
import { ProblemBox } from '../Notices';
import { SignInHint } from '../SignIn';
import { Act, focusAnchor } from './Act';
import { Changed } from './Changed';
import { Command } from './Command';

interface OutcomeProps {
  pool: Pool;
  backend: Backend;
  outcome: Outcome;
}

export function OutcomeBox(props: OutcomeProps) {
  const { outcome } = props;
  return (
    <div role="status" data-testid="outcome">
      {outcome.kind === 'pending' && (
        <p class="outcome">
          <span class="spinner" aria-hidden="true" /> {VERB_WORDS[outcome.order.verb].doing} {props.backend.name}…
        </p>
      )}
      {outcome.kind === 'done' && <Done {...props} outcome={outcome} />}
      {outcome.kind === 'not' && <Not {...props} outcome={outcome} />}
    </div>
  );
}

function Done({ pool, backend, outcome }: OutcomeProps & { outcome: Outcome & { kind: 'done' } }) {
  const left = Math.ceil((outcome.at + UNDO_MS - tick.value) / 1000);
  const { undo } = outcome;
  return (
    <p class="outcome tone-good">
      <Icon name="check" size={14} />
      <span>{outcome.words}</span>
      {undo !== null && left > 0 && ordersRefused.value === null && (
        <button
          type="button"
          class="button"
          ref={(element) => giveFocusAway(element, left)}
          onClick={(event) => {
            focusAnchor(event.currentTarget);
            void order(pool.name, backend, undo);
          }}
        >
          <Icon name="undo" size={14} /> Undo
          <span class="sr-only">: {undoWords(undo, backend.name)}</span>
          <span class="countdown" aria-hidden="true">
            {left}
          </span>
        </button>
      )}
    </p>
  );
}

/** The button goes in a moment; whoever stands on it is not to fall off the page. */
function giveFocusAway(element: HTMLElement | null, left: number): void {
  if (left === 1 && element !== null && element === document.activeElement) {
    window.setTimeout(() => {
      if (element === document.activeElement) focusAnchor(element);
    }, 700);
  }
}

function Not({ pool, backend, outcome }: OutcomeProps & { outcome: Outcome & { kind: 'not' } }) {
  const { order: wanted, problem } = outcome;
  const forced = { ...wanted, force: true };
  const again = problem.status === null || problem.status >= 500 || problem.status === 401;
  const say = (next: typeof wanted) => (): void => {
    focusAnchor(document.activeElement);
    void order(pool.name, backend, next);
  };
  return (
    <ProblemBox problem={problem}>
      {problem.code === 'changed' && <Changed all={differences(wanted.expect, problem.present)} />}
      {canForce(problem) && (
        <div class="insist">
          <Command text={commandOf(pool.name, backend.name, forced)} />
        </div>
      )}
      <div class="actions">
        {canForce(problem) && (
          <Act label={VERB_WORDS[wanted.verb].anyway} target={backend.name} kind="danger" refused={ordersRefused.value} onClick={say(forced)} />
        )}
        {again && <Act label="Try again" target={backend.name} refused={ordersRefused.value} onClick={say(wanted)} />}
        {(problem.status === 401 || problem.status === 403) && <SignInHint />}
        <button
          type="button"
          class="button quiet"
          onClick={(event) => {
            focusAnchor(event.currentTarget);
            forget(pool.name, backend.name);
          }}
        >
          {canForce(problem) ? 'Leave it' : 'Dismiss'}
        </button>
      </div>
    </ProblemBox>
  );
}
