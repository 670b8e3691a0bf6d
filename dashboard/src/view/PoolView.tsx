// The pool: tiers from left to right in order of preference, a card per backend in each.

import { useEffect, useState } from 'preact/hooks';
import type { Backend, Pool } from '../wire/types';
import { actionsRefused, connection, needsSignIn, pool, wholeSeries } from '../feed/store';
import { followPercentiles } from '../feed/percentile';
import { CARDS_MAX } from '../feed/rows';
import { shares } from '../feed/share';
import { token } from '../feed/token';
import { names, ratio } from '../format';
import { PoolActions } from './actions/PoolActions';
import { BackendCard } from './BackendCard';
import { BackendTable } from './BackendTable';
import { FailDialog } from './FailDialog';
import { Icon } from './Icon';
import { Since, Until } from './Moment';
import { SignInHint } from './SignIn';

interface Tier {
  number: number;
  backends: Backend[];
}

function tiersOf(shown: Pool): Tier[] {
  const tiers = new Map<number, Backend[]>();
  for (const backend of shown.backends) {
    const members = tiers.get(backend.tier);
    if (members === undefined) tiers.set(backend.tier, [backend]);
    else members.push(backend);
  }
  return [...tiers].map(([number, backends]) => ({ number, backends })).sort((a, b) => a.number - b.number);
}

export function PoolView() {
  const shown = pool.value;
  const [failing, setFailing] = useState<string | null>(null);
  useEffect(followPercentiles, [token.value]);
  if (shown === null) return <PoolSkeleton />;
  const tiers = tiersOf(shown);
  const refused = actionsRefused.value;
  const target = shown.backends.find((it) => it.name === failing);
  return (
    <section class="section" aria-labelledby="pool-heading">
      <div class="section-head">
        <h2 id="pool-heading">Pool {shown.name}</h2>
        {refused !== null && !needsSignIn.value && (
          <p class="quiet-text" id="actions-refused">
            Fail and Recover cannot be used: {refused}.
          </p>
        )}
        {needsSignIn.value && (
          <p class="quiet-text needs">
            Changing anything needs an operator: <SignInHint />
          </p>
        )}
        <PoolActions pool={shown} />
      </div>
      {shown.backends.length > CARDS_MAX ? (
        <BackendTable
          pool={shown}
          card={(backend, share) => <BackendCard pool={shown} backend={backend} share={share} onFail={() => setFailing(backend.name)} />}
        />
      ) : (
        <ol class="tiers">
          {tiers.map((tier) => (
            <TierColumn key={tier.number} pool={shown} tier={tier} first={tiers[0]?.number ?? 0} onFail={setFailing} />
          ))}
        </ol>
      )}
      {target !== undefined && <FailDialog pool={shown} backend={target} onClose={() => setFailing(null)} />}
    </section>
  );
}

interface TierColumnProps {
  pool: Pool;
  tier: Tier;
  first: number;
  onFail: (backend: string) => void;
}

function TierColumn({ pool: shown, tier, first, onFail }: TierColumnProps) {
  const active = shown.active_tier === tier.number;
  const share = wholeSeries.value === null ? null : shares(wholeSeries.value, shown);
  const failback = shown.failback?.to_tier === tier.number ? shown.failback : null;
  return (
    <li class={active ? 'tier active' : 'tier'}>
      <div class="tier-head">
        <h3>
          Tier {tier.number} <span class="quiet-text">{tier.number === first ? 'preferred' : `after tier ${tier.number - 1}`}</span>
        </h3>
        {active && (
          <span class="tag tone-good">
            <Icon name="arrow" size={12} /> Serving for <Since at={shown.since} />
          </span>
        )}
        {failback !== null && (
          <span class="tag tone-moved" data-testid="failback">
            <Icon name="back" size={12} /> Failing back to {names(tier.backends.map((it) => it.name))} in{' '}
            <Until at={failback.at} />
            {failback.share > 0 && <> ({ratio(failback.share)} are back)</>}
          </span>
        )}
      </div>
      <div class="cards">
        {tier.backends.map((backend) => (
          <BackendCard
            key={backend.name}
            pool={shown}
            backend={backend}
            share={share?.get(backend.name) ?? (share === null ? null : 0)}
            onFail={() => onFail(backend.name)}
          />
        ))}
      </div>
    </li>
  );
}

function PoolSkeleton() {
  const waiting = connection.value.kind === 'loading';
  return (
    <section class="section" aria-label="Pool" aria-busy={waiting}>
      <div class="section-head">
        <h2>Pool</h2>
      </div>
      <div class="tiers">
        {[0, 1].map((it) => (
          <div key={it} class="tier">
            <div class={waiting ? 'card bone' : 'card hollow'} />
          </div>
        ))}
      </div>
    </section>
  );
}
