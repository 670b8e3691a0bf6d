// The parts of an incident that both the list and its own page show.

import { count, durationOrNone, ratio } from '../format';
import type { Incident, IncidentCause, IncidentState, Latency } from '../wire/types';
import { Icon } from './Icon';
import type { IconName } from './Icon';

const CAUSE: Record<IncidentCause, string> = {
  crash: 'Crash',
  hang: 'Hang',
  slow: 'Slow',
  errors: 'Errors',
  grey: 'Grey failure',
  truncation: 'Truncation',
  partition: 'Partition',
  injected: 'Injected fault',
  drained: 'Drained',
  manual: 'Moved',
  unknown: 'Unknown cause',
};

export function causeWord(incident: Incident): string {
  return CAUSE[incident.cause];
}

export const DETECTOR: Record<Incident['detected_by'], string> = {
  traffic: 'traffic',
  health_check: 'a health check',
  operator: 'an operator',
};

export const SOURCE: Record<Incident['evidence'][number]['source'], string> = {
  traffic: 'Traffic',
  health_check: 'Health check',
  operator: 'Operator',
};

export const STATE_LOOK: Record<IncidentState, { word: string; icon: IconName; tone: string }> = {
  open: { word: 'Open', icon: 'octagon', tone: 'bad' },
  serving: { word: 'Failed over', icon: 'swap', tone: 'moved' },
  recovered: { word: 'Recovered', icon: 'check', tone: 'good' },
  closed: { word: 'Closed', icon: 'check', tone: 'off' },
};

/** An incident stays open until traffic has settled; once another backend serves, that is the news. */
export function shownState(incident: Incident): IncidentState {
  return incident.state === 'open' && incident.moments.serving_at !== null ? 'serving' : incident.state;
}

export function StateTag(props: { incident: Incident }) {
  const state = STATE_LOOK[shownState(props.incident)];
  return (
    <span class={`tag tone-${state.tone}`}>
      <Icon name={state.icon} size={12} /> {state.word}
    </span>
  );
}

export function Counts(props: { incident: Incident }) {
  const { requests } = props.incident;
  return (
    <dl class="counts">
      <div>
        <dt>Requests</dt>
        <dd>{count(requests.total)}</dd>
      </div>
      <div>
        <dt>Rescued</dt>
        <dd title={`${count(requests.rescued_by_retry)} by retry, ${count(requests.rescued_by_hedge)} by hedge`}>
          {count(requests.rescued)}
          {requests.rescued_by_hedge > 0 && <small> ({count(requests.rescued_by_hedge)} hedged)</small>}
        </dd>
      </div>
      <div class={requests.lost > 0 ? 'tone-bad' : ''}>
        <dt>Lost</dt>
        <dd>{count(requests.lost)}</dd>
      </div>
      <div class={requests.lost > 0 ? 'tone-bad' : ''}>
        <dt>Error rate</dt>
        <dd>{ratio(requests.error_ratio)}</dd>
      </div>
    </dl>
  );
}

const PHASES = ['before', 'during', 'after'] as const;

export function LatencyTable(props: { incident: Incident; full?: boolean }) {
  const { latency } = props.incident;
  const row = (name: string, pick: (it: Latency) => string) => (
    <tr>
      <th scope="row">{name}</th>
      {PHASES.map((phase) => {
        const it = latency[phase];
        return <td key={phase}>{it === null ? durationOrNone(null) : pick(it)}</td>;
      })}
    </tr>
  );
  return (
    <table class="latency">
      <caption class="sr-only">Latency before, during and after</caption>
      <thead>
        <tr>
          <td />
          {PHASES.map((phase) => (
            <th key={phase} scope="col">
              {phase}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {row('p50', (it) => durationOrNone(it.p50_seconds))}
        {row('p99', (it) => durationOrNone(it.p99_seconds))}
        {props.full && row('requests', (it) => count(it.requests))}
      </tbody>
    </table>
  );
}
