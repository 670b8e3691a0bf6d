// What can be done to one backend: the two or three things that are wanted at once, the rest behind
// "More", and what became of the last order.

import { useId, useState } from 'preact/hooks';
import { keyOf } from '../../feed/key';
import { order, outcomes } from '../../feed/orders';
import { VERB_WORDS } from '../../feed/ordering';
import type { Order } from '../../feed/ordering';
import { actionsRefused, ordersRefused } from '../../feed/store';
import type { Backend, Pool } from '../../wire/types';
import { Icon } from '../Icon';
import { Act } from './Act';
import { OrderPanel } from './OrderPanel';
import { OutcomeBox } from './OutcomeBox';

interface BackendActionsProps {
  pool: Pool;
  backend: Backend;
  onFail: () => void;
}

/** What turns the backend's intent around. */
function intentOrder(backend: Backend): Order {
  switch (backend.intent) {
    case 'draining':
      return { verb: 'undrain', expect: { intent: 'draining' } };
    case 'disabled':
      return { verb: 'enable', expect: { intent: 'disabled' } };
    case 'enabled':
      return { verb: 'drain', expect: { intent: 'enabled' } };
  }
}

export function BackendActions({ pool, backend, onFail }: BackendActionsProps) {
  const [isOpen, setOpen] = useState(false);
  const panel = useId();
  const outcome = outcomes.value.get(keyOf(pool.name, backend.name));
  const pending = outcome?.kind === 'pending' ? outcome.order.verb : null;
  const busy = pending === null ? null : 'waiting for the answer';
  const turn = intentOrder(backend);
  const nothingWrong = backend.fault === null && backend.state === 'up';
  const noRecovery = actionsRefused.value ?? (nothingWrong ? `${backend.name} has nothing to recover from` : null);
  const say = (wanted: Order): void => void order(pool.name, backend, wanted);
  return (
    <div class="card-actions" data-actions>
      <div class="actions">
        <Act
          label={pending === 'drain' || pending === 'undrain' || pending === 'enable' ? `${VERB_WORDS[pending].doing}…` : VERB_WORDS[turn.verb].button}
          icon={turn.verb === 'drain' ? 'drain' : 'undo'}
          target={backend.name}
          refused={busy ?? ordersRefused.value}
          onClick={() => say(turn)}
          isAnchor
        />
        <Act label="Fail" icon="bolt" target={backend.name} refused={actionsRefused.value} onClick={onFail} isFail>
          …
        </Act>
        <Act
          label={pending === 'recover' ? 'Recovering…' : 'Recover'}
          icon="refresh"
          target={backend.name}
          refused={busy ?? noRecovery}
          onClick={() => say({ verb: 'recover' })}
        />
        <button
          type="button"
          class="button icon-only"
          aria-expanded={isOpen}
          aria-controls={panel}
          aria-label={`More for ${backend.name}`}
          title={isOpen ? 'Less' : 'More: weight, maintenance, ejection, commands'}
          onClick={() => setOpen(!isOpen)}
        >
          <Icon name="more" />
        </button>
      </div>
      {outcome !== undefined && <OutcomeBox pool={pool} backend={backend} outcome={outcome} />}
      <div id={panel} hidden={!isOpen}>
        {isOpen && <OrderPanel pool={pool} backend={backend} busy={busy} onOrder={say} />}
      </div>
    </div>
  );
}
