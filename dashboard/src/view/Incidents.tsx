// The failovers of the pool on view, newest first: what happened, how fast, at what cost.

import { useState } from 'preact/hooks';
import type { Incident } from '../wire/types';
import { actionsRefused, connection, health, incidents, incidentsProblem, pool, tick } from '../feed/store';
import { clock } from '../format';
import { incidentHref } from '../route';
import { Icon } from './Icon';
import { causeWord, Counts, DETECTOR, LatencyTable, shownState, StateTag } from './IncidentFacts';
import { Moment, Since } from './Moment';
import { ProblemBox } from './Notices';
import { Timeline } from './Timeline';

const FIRST_SHOWN = 3;

export function Incidents() {
  const [all, setAll] = useState(false);
  const shown = pool.value;
  const sample = incidents.value;
  const problem = incidentsProblem.value;
  const mine = sample?.value.filter((it) => it.pool === shown?.name) ?? [];
  const visible = all ? mine : mine.slice(0, FIRST_SHOWN);
  return (
    <section class="section" aria-labelledby="incidents-heading">
      <div class="section-head">
        <h2 id="incidents-heading">Incidents</h2>
        {mine.length > 0 && <span class="quiet-text">{mine.length} kept, newest first</span>}
        <Age at={sample?.at ?? null} />
      </div>
      {problem !== null && <ProblemBox problem={problem} />}
      {sample === null && problem === null && connection.value.kind !== 'lost' && <div class="incident bone" aria-busy="true" />}
      {sample !== null && mine.length === 0 && <NoIncidents />}
      <ol class="incidents">
        {visible.map((it) => (
          <li key={it.id}>
            <IncidentRow incident={it} />
          </li>
        ))}
      </ol>
      {mine.length > FIRST_SHOWN && (
        <button type="button" class="button quiet" aria-expanded={all} onClick={() => setAll(!all)}>
          {all ? `Show the newest ${FIRST_SHOWN}` : `Show all ${mine.length}`}
        </button>
      )}
    </section>
  );
}

/** Values are renewed every second; what missed three renewals says how old it is. */
const STALE_MS = 3_500;

export function Age(props: { at: number | null }) {
  if (props.at === null || connection.value.kind !== 'live' || tick.value - props.at < STALE_MS) return null;
  return (
    <span class="tag tone-warn">
      <Icon name="clock" size={12} /> as of {clock(props.at)}
    </span>
  );
}

function NoIncidents() {
  const value = health.value?.value;
  const active = pool.value?.active_backend;
  return (
    <div class="empty">
      <Icon name="inbox" size={28} />
      <div>
        <p>
          <strong>
            No failovers since start{' '}
            {value !== undefined && (
              <>
                (<Since at={value.started_at} />)
              </>
            )}
          </strong>
        </p>
        <p class="quiet-text">
          {actionsRefused.value === null && active != null
            ? `Try one: press Fail on ${active} above and watch traffic move.`
            : 'When a backend fails, what happened and what it cost appears here.'}
        </p>
      </div>
    </div>
  );
}

function IncidentRow(props: { incident: Incident }) {
  const { incident } = props;
  return (
    <article class={`incident state-${shownState(incident)}`} aria-labelledby={`incident-${incident.id}`} data-incident={incident.id}>
      <div class="incident-what">
        <h3 id={`incident-${incident.id}`}>
          <a href={incidentHref(incident.id)}>{incident.id}</a> <StateTag incident={incident} />
        </h3>
        <p class="incident-story">
          <strong>{causeWord(incident)}</strong> of {incident.backend}
          {incident.to_backend === null ? ', nobody took over' : `, ${incident.to_backend} took over`}
        </p>
        <EvidenceLine incident={incident} />
      </div>
      <Timeline incident={incident} />
      <div class="incident-cost">
        <Counts incident={incident} />
        <LatencyTable incident={incident} />
      </div>
    </article>
  );
}

function EvidenceLine(props: { incident: Incident }) {
  const { evidence, moments } = props.incident;
  const first = evidence[0];
  return (
    <p class="quiet-text">
      <Moment at={moments.suspected_at} />
      {first !== undefined && ` · ${first.detail}`}
      <br />
      {props.incident.requested ? 'Asked for by an operator' : `Noticed by ${DETECTOR[props.incident.detected_by]}`}
      {evidence.length > 1 && ` · ${evidence.length} observations`}
    </p>
  );
}
