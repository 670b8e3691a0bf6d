// One backend: its state and why, what it carries, its fault if one is injected, and what can be done.

import { p99s } from '../feed/percentile';
import { keyOf } from '../feed/key';
import { isPlanned } from '../feed/verdict';
import { count, duration, durationOrNone, ratio } from '../format';
import type { Backend, Fault, LastCheck, Pool } from '../wire/types';
import { BackendActions } from './actions/BackendActions';
import { IntentTag, STATE_TONE, STATE_WORD } from './Condition';
import { Icon, STATE_ICON } from './Icon';
import { Ago, Moment, Since, Until } from './Moment';

interface BackendCardProps {
  pool: Pool;
  backend: Backend;
  /** Share of the traffic, 0 to 1; null while unknown. */
  share: number | null;
  onFail: () => void;
}

export function BackendCard({ pool, backend, share, onFail }: BackendCardProps) {
  return (
    <article class={backend.active ? 'card active' : 'card'} aria-label={`Backend ${backend.name}`} data-backend={backend.name} data-focus tabIndex={-1}>
      <div class="card-head">
        <h4>{backend.name}</h4>
        <span class="card-url">{backend.url.replace(/^https?:\/\//, '')}</span>
        <IntentTag backend={backend} />
        {backend.active && <span class="tag tone-good">Active</span>}
      </div>
      <p class={`state tone-${STATE_TONE[backend.state]}`}>
        <Icon name={STATE_ICON[backend.state]} />
        <strong>{STATE_WORD[backend.state]}</strong>
        <span class="quiet-text">
          since <Moment at={backend.since} /> (<Since at={backend.since} />)
        </span>
        <span class="reason">{reason(backend)}</span>
      </p>
      <Share share={share} />
      <dl class="facts">
        <div class="wide">
          <dt>Last check</dt>
          <dd>
            <Check check={backend.last_check} />
          </dd>
        </div>
        <div>
          <dt>In flight</dt>
          <dd>{count(backend.in_flight)}</dd>
        </div>
        <div>
          <dt>p99</dt>
          <dd>{durationOrNone(p99s.value?.get(keyOf(pool.name, backend.name)) ?? null)}</dd>
        </div>
        <div>
          <dt>Requests</dt>
          <dd>{count(backend.requests)}</dd>
        </div>
        <div>
          <dt>Failures</dt>
          <dd>{count(backend.failures)}</dd>
        </div>
        <div>
          <dt>Weight</dt>
          <dd>{count(backend.weight)}</dd>
        </div>
      </dl>
      {backend.fault !== null && (
        <p class="fault tone-warn" data-testid="fault">
          <Icon name="bolt" />
          <span>
            Injected fault: <strong>{backend.fault.mode}</strong>
            {faultLimits(backend.fault)}
            , ends in <Until at={backend.fault.ends_at} />
          </span>
        </p>
      )}
      <BackendActions pool={pool} backend={backend} onFail={onFail} />
    </article>
  );
}

/** Whom the fault spares, if anybody. */
function faultLimits({ scope, percent }: Fault): string {
  return `${scope === 'all' ? '' : `, ${scope} only`}${percent < 100 ? `, ${percent} %` : ''}`;
}

function reason(backend: Backend) {
  if (backend.state === 'ejected' && backend.ejected_until !== null) {
    return (
      <>
        {backend.reason ?? 'Ejected'}; readmitted in <Until at={backend.ejected_until} />
      </>
    );
  }
  if (backend.reason !== null) return backend.reason;
  return backend.eligible || isPlanned(backend) ? '' : 'Not eligible for traffic';
}

function Share(props: { share: number | null }) {
  const share = props.share ?? 0;
  return (
    <div class="share">
      <span class="share-track">
        <span class="share-bar" style={{ width: `${(share * 100).toFixed(1)}%` }} />
      </span>
      <span>{props.share === null ? 'Traffic share unknown' : `${ratio(Math.round(share * 100) / 100)} of traffic`}</span>
    </div>
  );
}

const RESULT_WORD: Record<LastCheck['result'], string> = { pass: 'Passed', fail: 'Failed', timeout: 'Timed out' };

function Check(props: { check: LastCheck | null }) {
  const { check } = props;
  if (check === null) return <>None yet</>;
  return (
    <>
      {RESULT_WORD[check.result]} in {duration(check.duration_seconds)}, <Ago at={check.at} />
      {check.detail !== '' && check.detail !== 'passed' && <span class="check-detail">{check.detail}</span>}
    </>
  );
}
