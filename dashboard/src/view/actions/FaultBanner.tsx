// Faults under way, on every screen: nobody shall forget that the trouble is made by hand.

import { useState } from 'preact/hooks';
import type { Problem } from '../../feed/api';
import { recover } from '../../feed/feed';
import { keyOf } from '../../feed/key';
import { actionsRefused, connection, pools } from '../../feed/store';
import { plural } from '../../format';
import type { Backend, Pool } from '../../wire/types';
import { Icon } from '../Icon';
import { Until } from '../Moment';
import { ProblemBox } from '../Notices';

/** More than this many are summed up, so that the page stays in sight. */
const SHOWN_MAX = 3;

export function FaultBanners() {
  if (connection.value.kind !== 'live') return null;
  const all = pools.value.flatMap((pool) => pool.backends.filter((it) => it.fault !== null).map((backend) => ({ pool, backend })));
  const rest = all.slice(SHOWN_MAX);
  return (
    <>
      {all.slice(0, SHOWN_MAX).map(({ pool, backend }) => (
        <FaultBanner key={keyOf(pool.name, backend.name)} pool={pool} backend={backend} />
      ))}
      {rest.length > 0 && <p class="notice fault-banner">{plural(rest.length, 'more injected fault')} under way.</p>}
    </>
  );
}

function FaultBanner(props: { pool: Pool; backend: Backend }) {
  const { pool, backend } = props;
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const { fault } = backend;
  if (fault === null) return null;
  const refused = busy ? 'waiting for the answer' : actionsRefused.value;
  const end = async (): Promise<void> => {
    if (refused !== null) return;
    setBusy(true);
    const answer = await recover(pool.name, backend.name);
    setBusy(false);
    setProblem(answer.ok ? null : answer.problem);
  };
  return (
    <section class="notice fault-banner" aria-label={`Injected fault of ${backend.name}`} data-testid="fault-banner">
      <Icon name="bolt" size={18} />
      <div class="notice-words">
        <p>
          <strong>{backend.name}</strong> of pool {pool.name} fails on purpose: <strong>{fault.mode}</strong>
          {fault.scope !== 'all' && `, ${fault.scope} only`}
          {fault.percent < 100 && `, ${fault.percent} %`}
          , for another <Until at={fault.ends_at} />.
        </p>
        {problem !== null && <ProblemBox problem={problem} />}
      </div>
      <button
        type="button"
        class="button"
        aria-disabled={refused !== null}
        title={refused ?? ''}
        aria-label={`End now: the fault of ${backend.name}${refused === null ? '' : `, cannot be used: ${refused}`}`}
        onClick={() => void end()}
      >
        {busy ? 'Ending…' : 'End now'}
      </button>
    </section>
  );
}
