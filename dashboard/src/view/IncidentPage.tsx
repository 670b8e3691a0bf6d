// One incident in full, at an address that can be shared.

import { useEffect, useState } from 'preact/hooks';
import type { Problem } from '../feed/api';
import { fetchIncident } from '../feed/feed';
import { rows } from '../feed/log';
import { past } from '../feed/past';
import { connection, health, incidents } from '../feed/store';
import { count, ratio } from '../format';
import { addShortcuts } from '../keys';
import { incidentHref, poolHref } from '../route';
import { saveFile } from '../save';
import type { Incident, Moments } from '../wire/types';
import { Icon } from './Icon';
import { causeWord, DETECTOR, LatencyBars, SOURCE, StateTag } from './IncidentFacts';
import { LogPanel } from './LogPanel';
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
      <nav aria-label="Incidents" class="crumbs">
        <a href={incident === null ? '#/' : poolHref(incident.pool)}>
          <Icon name="back" size={14} /> Overview
        </a>
        {incident !== null && <Neighbours incident={incident} />}
      </nav>
      {problem !== null && incident === null && (problem.status === 404 ? <Gone id={props.id} problem={problem} /> : <ProblemBox problem={problem} />)}
      {problem === null && incident === null && <div class="incident bone" aria-busy="true" />}
      {incident !== null && <Detail incident={incident} />}
    </>
  );
}

/** The incidents before and after it, of the same pool. */
function Neighbours({ incident }: { incident: Incident }) {
  const all = incidents.value?.value.filter((it) => it.pool === incident.pool) ?? [];
  const at = all.findIndex((it) => it.id === incident.id);
  const older = at < 0 ? undefined : all[at + 1];
  const newer = at < 0 ? undefined : all[at - 1];
  useEffect(() => {
    const to = (it: Incident | undefined) => (): boolean => {
      if (it !== undefined) location.hash = incidentHref(it.id);
      return it !== undefined;
    };
    return addShortcuts([
      { keys: '[', says: 'Incident before', act: to(older) },
      { keys: ']', says: 'Next incident', act: to(newer) },
    ]);
  }, [older?.id, newer?.id]);
  return (
    <>
      <span class="spacer" />
      <Neighbour incident={older} word="Before" icon="back" />
      <Neighbour incident={newer} word="Next" icon="arrow" />
    </>
  );
}

function Neighbour({ incident, word, icon }: { incident: Incident | undefined; word: string; icon: 'back' | 'arrow' }) {
  if (incident === undefined) return <span class="quiet-text">{word === 'Next' ? 'the newest' : 'the oldest that is kept'}</span>;
  return (
    <a href={incidentHref(incident.id)}>
      {icon === 'back' && <Icon name={icon} size={14} />} {word}: {incident.id} {icon === 'arrow' && <Icon name={icon} size={14} />}
    </a>
  );
}

/** Asked for by its address, but not there. */
function Gone({ id, problem }: { id: string; problem: Problem }) {
  const newest = incidents.value?.value[0];
  return (
    <section class="empty" aria-label="Not kept" data-testid="gone">
      <Icon name="inbox" size={28} />
      <div>
        <p>
          <strong>Incident {id} is not kept any more, or never was</strong>
        </p>
        <p class="quiet-text">
          The proxy answered: {problem.message}. Only so many of the newest are kept.{' '}
          {newest === undefined ? 'There are none at present.' : <>The newest is <a href={incidentHref(newest.id)}>{newest.id}</a>.</>}
        </p>
      </div>
    </section>
  );
}

/** It happened to a process that has ended since, perhaps in the middle of it. */
function BeforeRestart({ incident }: { incident: Incident }) {
  const started = health.value?.value.started_at;
  if (incident.interrupted) {
    return (
      <span class="tag tone-warn" data-testid="interrupted" title="What came after is not known">
        <Icon name="refresh" size={12} /> cut short: the proxy ended before it was over
      </span>
    );
  }
  if (started === undefined || Date.parse(incident.moments.decided_at) >= Date.parse(started)) return null;
  return (
    <span class="tag tone-off" data-testid="before-restart">
      <Icon name="refresh" size={12} /> before the restart at <Moment at={started} />
    </span>
  );
}

function exported(incident: Incident): string {
  const lines = rows.value.flatMap((row) => (row.kind === 'line' ? [row.line] : []));
  const record = { exported_at: new Date().toISOString(), version: health.value?.value.version, incident, series: past.value?.value ?? null, log: lines };
  return JSON.stringify(record, null, 2);
}

function Detail(props: { incident: Incident }) {
  const { incident } = props;
  const shown = around(incident);
  return (
    <>
      <section class="section" aria-labelledby="incident-heading">
        <div class="section-head">
          <h2 id="incident-heading">Incident {incident.id}</h2>
          <StateTag incident={incident} />
          <BeforeRestart incident={incident} />
          <span class="spacer" />
          <button type="button" class="button" onClick={() => saveFile(`${incident.id}.json`, 'application/json', exported(incident))}>
            <Icon name="save" size={14} /> Export JSON
          </button>
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
            <Cost incident={incident} />
            <p class="quiet-text">
              Counted between <Moment at={incident.window.from} millis /> and{' '}
              {incident.window.to === null ? 'now' : <Moment at={incident.window.to} millis />}.
            </p>
          </div>
        </section>
        <section class="section" aria-labelledby="latency-heading">
          <h2 id="latency-heading">Latency</h2>
          <div class="panel">
            <LatencyBars incident={incident} />
          </div>
        </section>
        <section class="section" aria-labelledby="moments-heading">
          <h2 id="moments-heading">Every moment</h2>
          <div class="panel">
            <MomentsList moments={incident.moments} isOver={incident.state === 'closed'} />
          </div>
        </section>
        <section class="section" aria-labelledby="evidence-heading">
          <h2 id="evidence-heading">Evidence</h2>
          <div class="panel">
            <EvidenceTable incident={incident} />
          </div>
        </section>
      </div>
      <History heading="Before, during, after" pool={incident.pool} fixed={shown} />
      <LogPanel heading="Log of that time" from={shown.from * 1000} to={shown.to === null ? null : shown.to * 1000} />
    </>
  );
}

/** Every way a request can have ended, as parts of the whole. */
function Cost({ incident }: { incident: Incident }) {
  const { total, rescued_by_retry, rescued_by_hedge, lost, extra_attempts, error_ratio } = incident.requests;
  const untouched = Math.max(0, total - rescued_by_retry - rescued_by_hedge - lost);
  const parts: [string, number, string][] = [
    ['Not touched', untouched, 'cost-good'],
    ['Rescued by retry', rescued_by_retry, 'cost-retry'],
    ['Rescued by hedge', rescued_by_hedge, 'cost-hedge'],
    ['Lost', lost, 'cost-lost'],
  ];
  return (
    <>
      <div class="cost-bar" aria-hidden="true">
        {parts.map(([name, value, style]) => value > 0 && <span key={name} class={style} style={{ flexGrow: String(value) }} />)}
      </div>
      <dl class="cost">
        {parts.map(([name, value, style]) => (
          <div key={name} class={name === 'Lost' && value > 0 ? 'tone-bad' : ''}>
            <dt>
              <i class={`cost-key ${style}`} aria-hidden="true" /> {name}
            </dt>
            <dd>{count(value)}</dd>
          </div>
        ))}
      </dl>
      <dl class="counts">
        <div>
          <dt>Requests</dt>
          <dd>{count(total)}</dd>
        </div>
        <div class={lost > 0 ? 'tone-bad' : ''}>
          <dt>Error rate</dt>
          <dd>{ratio(error_ratio)}</dd>
        </div>
        <div>
          <dt>Extra attempts</dt>
          <dd>{count(extra_attempts)}</dd>
        </div>
      </dl>
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

function MomentsList(props: { moments: Moments; isOver: boolean }) {
  return (
    <dl class="moments">
      {MOMENTS.map(([key, name, says]) => {
        const at = props.moments[key];
        return (
          <div key={key}>
            <dt>
              {name} <span class="quiet-text">{says}</span>
            </dt>
            <dd>{at === null ? (props.isOver ? 'never' : 'not yet') : <Moment at={at} millis />}</dd>
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
