// What can be done to a pool: its traffic moved on, or back.

import { useState } from 'preact/hooks';
import { moved } from '../../feed/orders';
import { failbackRefused, failoverRefused } from '../../feed/ordering';
import type { Move } from '../../feed/ordering';
import { ordersRefused } from '../../feed/store';
import type { Pool } from '../../wire/types';
import { Icon } from '../Icon';
import { Act } from './Act';
import { MoveDialog } from './MoveDialog';

export function PoolActions(props: { pool: Pool }) {
  const { pool } = props;
  const [verb, setVerb] = useState<Move['verb'] | null>(null);
  const refused = ordersRefused.value;
  const tiers = new Set(pool.backends.map((it) => it.tier)).size;
  if (tiers < 2) return null;
  return (
    <>
      <span class="spacer" />
      <div class="actions pool-actions">
        <Act label="Fail over" icon="arrow" target={pool.name} refused={refused ?? failoverRefused(pool)} onClick={() => setVerb('failover')}>
          …
        </Act>
        <Act label="Fail back" icon="back" target={pool.name} refused={refused ?? failbackRefused(pool)} onClick={() => setVerb('failback')}>
          …
        </Act>
      </div>
      {moved.value?.pool === pool.name && (
        <p class="outcome tone-good moved" role="status" data-testid="moved">
          <Icon name="check" size={14} />
          <span>{moved.value.words}</span>
        </p>
      )}
      {verb !== null && <MoveDialog pool={pool} verb={verb} onClose={() => setVerb(null)} />}
    </>
  );
}
