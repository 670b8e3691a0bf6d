// One incident in full, at an address that can be shared.

import { useEffect, useState } from 'preact/hooks';
import type { Problem } from '../feed/api';
import { fetchIncident } from '../feed/feed';
import { connection, incidents } from '../feed/store';
import { poolHref } from '../route';
import type { Incident, Moments } from '../wire/types';
import { Icon } from './Icon';
import { causeWord, Counts, DETECTOR, LatencyTable, SOURCE, StateTag } from './IncidentFacts';
import { Moment } from './Moment';
import { ProblemBox } from './Notices';
import { History } from './History';
import { Timeline } from './Timeline';

const REFRESH_MS = 1_000;

/** The incident of the list when it is there; one that has left the list is asked for by name. */
function useIncident(id: string): { incident: Incident | null; problem: Problem | null } {
  const [fetched, setFetched] = useState<Incident | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const listed = incidents.value?.value.find((it) => it.id === id) ?? null;
  const asked = listed === null && incidents.value !== null && connection.value.kind === 'live';
  useEffect(() => {
    if (!asked) return;
    let over = false;
    let timer = 0;
    const ask = async (): Promise<void> => {
      const answer = await fetchIncident(id);
      if (over) return;
      setProblem(answer.ok ? null : answer.problem);
      if (answer.ok) setFetched(answer.value);
      if (!answer.ok || answer.value.state !== 'closed') timer = window.setTimeout(() => void ask(), REFRESH_MS * 3);
    };
    void ask();
    return () => {
      over = true;
      window.clearTimeout(timer);
    };
  }, [id, asked]);
  return { incident: listed ?? (fetched?.id === id ? fetched : null), problem: listed === null ? problem : null };
}

export function IncidentPage(props: { id: string }) {
  const { incident, problem } = useIncident(props.id);
  return (
    <>
      <nav aria-label="Breadcrumb" class="crumbs">
        <a href={incident === null ? '#/' : poolHref(incident.pool)}>
          <Icon name="back" size={14} /> Overview
        </a>
      </nav>
      {problem !== null && incident === null && <ProblemBox problem={problem} />}
      {problem === null && incident === null && <div class="incident bone" aria-busy="true" />}
      {incident !== null && <Detail incident={incident} />}
    </>
  );
}

function Detail(props: { incident: Incident }) {
  const { incident } = props;
  return (
    <>
      <section class="section" aria-labelledby="incident-heading">
        <div class="section-head">
          <h2 id="incident-heading">Incident {incident.id}</h2>
          <StateTag incident={incident} />
          <span class="spacer" />
          <a class="button" href={`/api/incidents/${encodeURIComponent(incident.id)}`} target="_blank" rel="noopener">
            JSON
          </a>
        </div>
        <p class="lede">{story(incident)}</p>
        <div class="panel">
          <Timeline incident={incident} />
        </div>
      </section>
      <div class="detail-grid">
        <section class="section" aria-labelledby="cost-heading">
          <h2 id="cost-heading">What it cost</h2>
          <div class="panel">
            <Counts incident={incident} />
            <LatencyTable incident={incident} full />
            <p class="quiet-text">
              Counted between <Moment at={incident.window.from} millis /> and{' '}
              {incident.window.to === null ? 'now' : <Moment at={incident.window.to} millis />}.
            </p>
          </div>
        </section>
        <section class="section" aria-labelledby="moments-heading">
          <h2 id="moments-heading">Every moment</h2>
          <div class="panel">
            <MomentsList moments={incident.moments} />
          </div>
        </section>
        <section class="section wide" aria-labelledby="evidence-heading">
          <h2 id="evidence-heading">Evidence</h2>
          <div class="panel">
            <EvidenceTable incident={incident} />
          </div>
        </section>
      </div>
      <History heading="Before, during, after" pool={incident.pool} fixed={around(incident)} />
    </>
  );
}

/** Seconds before and after that are shown, too. */
const MARGIN = 30;

function around(incident: Incident): { from: number; to: number | null } {
  const { suspected_at, recovered_at, failed_back_at } = incident.moments;
  const over = failed_back_at ?? (incident.state === 'closed' ? (recovered_at ?? incident.window.to) : null);
  const at = (moment: string): number => Math.round(Date.parse(moment) / 1000);
  return { from: at(suspected_at) - MARGIN, to: over === null ? null : at(over) + MARGIN };
}

function story(incident: Incident): string {
  const asked = incident.requested ? ' An operator asked for it.' : '';
  const heir =
    incident.to_backend === null
      ? 'no other backend could take over'
      : `traffic moved to ${incident.to_backend} (tier ${incident.to_tier ?? '?'})`;
  return `${causeWord(incident)} of ${incident.backend} (tier ${incident.from_tier}), noticed by ${DETECTOR[incident.detected_by]}; ${heir}.${asked}`;
}

const MOMENTS: [keyof Moments, string, string][] = [
  ['suspected_at', 'Suspected', 'first failure seen'],
  ['decided_at', 'Decided', 'the failover was decided'],
  ['serving_at', 'Serving', 'first answer from the new backend'],
  ['stable_at', 'Stable', 'error rate back to its level before'],
  ['recovered_at', 'Recovered', 'the failed backend is eligible again'],
  ['failed_back_at', 'Failed back', 'the preferred tier serves again'],
];

function MomentsList(props: { moments: Moments }) {
  return (
    <dl class="moments">
      {MOMENTS.map(([key, name, says]) => {
        const at = props.moments[key];
        return (
          <div key={key}>
            <dt>
              {name} <span class="quiet-text">{says}</span>
            </dt>
            <dd>{at === null ? 'not yet' : <Moment at={at} millis />}</dd>
          </div>
        );
      })}
    </dl>
  );
}

function EvidenceTable(props: { incident: Incident }) {
  const { evidence } = props.incident;
  if (evidence.length === 0) return <p class="quiet-text">None was kept.</p>;
  return (
    <table class="evidence">
      <thead>
        <tr>
          <th scope="col">Time</th>
          <th scope="col">Source</th>
          <th scope="col">What was seen</th>
        </tr>
      </thead>
      <tbody>
        {evidence.map((it, index) => (
          <tr key={index}>
            <td>
              <Moment at={it.at} millis />
            </td>
            <td>{SOURCE[it.source]}</td>
            <td>{it.detail}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
