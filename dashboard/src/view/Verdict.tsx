// The verdict: one sentence that stays in sight, the numbers behind it, and the page's title.

import { useSignalEffect } from '@preact/signals';
import { useRef } from 'preact/hooks';
import { clock, durationOrNone, rate, ratio, span } from '../format';
import { connection, health, isForbidden, pool, pools, tick } from '../feed/store';
import { othersInNeed, tabTone, title, toneOf, verdict } from '../feed/verdict';
import type { Tone } from '../feed/verdict';
import { incidentHref, poolHref } from '../route';
import type { LastMinute } from '../wire/types';
import faviconBad from '../icons/favicon-bad.svg';
import faviconMoved from '../icons/favicon-moved.svg';
import faviconOff from '../icons/favicon-off.svg';
import faviconServing from '../icons/favicon-serving.svg';
import faviconWarn from '../icons/favicon-warn.svg';
import { Icon, TONE_ICON } from './Icon';
import { Words } from './Words';

export function Verdict() {
  const shown = pool.value;
  const state = connection.value;
  if (shown === null) return <NoVerdict />;
  const said = verdict(shown);
  const lost = state.kind === 'lost';
  const tone: Tone = lost ? 'off' : said.tone;
  const several = pools.value.length > 1;
  const at = health.value?.at ?? 0;
  return (
    <section class={`verdict tone-${tone}`} aria-label="Verdict">
      <span class="verdict-icon">
        <Icon name={TONE_ICON[tone]} size={26} />
      </span>
      <div class="verdict-words">
        <p class="verdict-badge">
          {lost ? `Not connected · last known at ${clock(at)}` : said.word}
          {several && ` · pool ${shown.name}`}
          {shown.open_incident !== null && (
            <>
              {' · '}
              <a href={incidentHref(shown.open_incident)}>Incident {shown.open_incident}</a>
            </>
          )}
        </p>
        <h1 id="verdict">
          <Words text={`${said.sentence} ${said.cost}`} />
        </h1>
        <Others shown={shown.name} />
      </div>
      <Numbers minute={shown.last_minute} />
    </section>
  );
}

function Numbers(props: { minute: LastMinute }) {
  const { minute } = props;
  const none = minute.requests === 0;
  return (
    <dl class="numbers" aria-label="Last minute">
      <div>
        <dt>Requests</dt>
        <dd>
          {rate(minute.requests_per_second)}
          <small>/s</small>
        </dd>
      </div>
      <div class={minute.lost > 0 ? 'tone-bad' : ''}>
        <dt>Error rate</dt>
        <dd>{none ? durationOrNone(null) : ratio(minute.error_ratio)}</dd>
      </div>
      <div>
        <dt>p50</dt>
        <dd>{durationOrNone(minute.p50_seconds)}</dd>
      </div>
      <div>
        <dt>p99</dt>
        <dd>{durationOrNone(minute.p99_seconds)}</dd>
      </div>
    </dl>
  );
}

function Others(props: { shown: string }) {
  const others = othersInNeed(pools.value, props.shown);
  const first = others[0];
  if (first === undefined) return null;
  return (
    <p class={`verdict-others tone-${toneOf(first)}`}>
      <Icon name={TONE_ICON[toneOf(first)]} size={14} />
      <span>
        Pool <a href={poolHref(first.name)}>{first.name}</a>: {verdict(first).sentence}
        {others.length > 1 && ` And ${others.length - 1} more.`}
      </span>
    </p>
  );
}

/** Before the first answer: the place is kept, and after three seconds the wait is explained. */
function NoVerdict() {
  const state = connection.value;
  if (state.kind === 'loading') {
    const waited = (tick.value - state.since) / 1000;
    return (
      <section class="verdict tone-off loading" aria-label="Verdict" aria-busy="true">
        <span class="verdict-icon bone" />
        <div class="verdict-words">
          <p class="verdict-badge">Connecting</p>
          <h1 id="verdict">
            {waited < 3 ? 'Asking the proxy how it is…' : `Waiting for GET /api/proxy/health for ${span(waited)}…`}
          </h1>
        </div>
      </section>
    );
  }
  if (isForbidden.value) return null;
  const lost = state.kind === 'lost';
  return (
    <section class="verdict tone-off" aria-label="Verdict">
      <span class="verdict-icon">
        <Icon name="plug" size={26} />
      </span>
      <div class="verdict-words">
        <p class="verdict-badge">{lost ? 'Not connected' : 'Nothing to serve'}</p>
        <h1 id="verdict">{lost ? 'The proxy has not answered yet.' : 'The proxy has no pools.'}</h1>
        {!lost && <p class="verdict-others">Add one under pools: in its configuration; traffic then shows here.</p>}
      </div>
    </section>
  );
}

const FAVICON: Record<Tone, string> = {
  good: faviconServing,
  moved: faviconMoved,
  warn: faviconWarn,
  bad: faviconBad,
  off: faviconOff,
};

/** Keeps title and icon of the tab, and tells screen readers when the state (not a number) changes. */
export function Announcer() {
  const region = useRef<HTMLParagraphElement>(null);
  const told = useRef('');
  useSignalEffect(() => {
    const state = connection.value;
    const lost = state.kind === 'lost';
    const now = lost ? tick.value : 0;
    const isReady = health.value?.value.ready !== false;
    const text = title(pools.value, lost ? (now - state.since) / 1000 : null, isReady);
    const said = isForbidden.value ? 'Sign in · Bascule' : text;
    if (document.title !== said) document.title = said;
    const tone: Tone = lost ? 'off' : tabTone(pools.value, isReady);
    const link = document.querySelector<HTMLLinkElement>('link[rel=icon]');
    if (link !== null && link.getAttribute('href') !== FAVICON[tone]) link.href = FAVICON[tone];
    const shown = pool.value;
    const key = lost ? 'lost' : shown === null ? '' : `${shown.name} ${verdict(shown).word} ${shown.active_backend}`;
    if (key !== told.current && region.current !== null) {
      told.current = key;
      region.current.textContent = lost ? 'Not connected to the proxy.' : shown === null ? '' : verdict(shown).sentence;
    }
  });
  return <p class="sr-only" role="status" ref={region} />;
}
