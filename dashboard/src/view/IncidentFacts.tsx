// The parts of an incident that both the list and its own page show.

import { count, durationOrNone, ratio } from '../format';
import type { Cause, Incident, IncidentState, Latency } from '../wire/types';
import { Icon } from './Icon';
import type { IconName } from './Icon';

const CAUSE: Record<Cause, string> = {
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

export function LatencyTable(props: { incident: Incident }) {
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
      </tbody>
    </table>
  );
}

/** Bars on a logarithmic scale from a tenth of a millisecond, because a hang is a thousand times an answer. */
const BAR_LEAST = 1e-4;

function barWidth(value: number | null, most: number): string {
  if (value === null || value <= BAR_LEAST) return '0%';
  return `${((Math.log10(value / BAR_LEAST) / Math.log10(most / BAR_LEAST)) * 100).toFixed(1)}%`;
}

export function LatencyBars({ incident }: { incident: Incident }) {
  const { latency } = incident;
  const most = Math.max(1e-3, ...PHASES.map((phase) => latency[phase]?.p99_seconds ?? 0));
  return (
    <table class="latency-bars">
      <caption class="sr-only">Latency before, during and after</caption>
      <thead>
        <tr>
          <td />
          <th scope="col">
            <i class="bar-key bar-p50" /> p50
          </th>
          <th scope="col">
            <i class="bar-key bar-p99" /> p99
          </th>
          <th scope="col">Requests</th>
          <td />
        </tr>
      </thead>
      <tbody>
        {PHASES.map((phase) => {
          const it = latency[phase];
          return (
            <tr key={phase}>
              <th scope="row">{phase}</th>
              <td>{durationOrNone(it?.p50_seconds ?? null)}</td>
              <td>{durationOrNone(it?.p99_seconds ?? null)}</td>
              <td>{it === null ? durationOrNone(null) : count(it.requests)}</td>
              <td class="latency-bar" aria-hidden="true">
                <span class="bar-p99" style={{ width: barWidth(it?.p99_seconds ?? null, most) }} />
                <span class="bar-p50" style={{ width: barWidth(it?.p50_seconds ?? null, most) }} />
              </td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}
