// The incident timeline: a mark per incident, and a band per backend with what it did over time.

import { useEffect, useRef, useState } from 'preact/hooks';
import { LEFT, RIGHT } from '../chart/Chart';
import type { Axis } from '../chart/Chart';
import { cursorAt } from '../chart/cursor';
import { clustersOf, lanesOf, pathOf } from '../chart/lanes';
import type { Cluster, Lane, LaneKind } from '../chart/lanes';
import { incidents } from '../feed/store';
import { WINDOW_MIN_SECONDS, zoomTo } from '../feed/window';
import { clock, count, plural, span } from '../format';
import { incidentHref } from '../route';
import type { Backend, Incident, Series } from '../wire/types';
import { Icon } from './Icon';
import { causeWord, shownState, STATE_LOOK } from './IncidentFacts';

/** A mark is 24 pixels wide, as WCAG 2.5.8 wants it, and 2 apart. */
const APART = 26;
/** What lasted only a moment is still seen. */
const LEAST: Partial<Record<LaneKind, number>> = { out: 3, suspect: 2, planned: 3 };
const KINDS: readonly LaneKind[] = ['gap', 'idle', 'serving', 'suspect', 'out', 'planned'];

interface LanesProps {
  series: Series;
  axis: Axis;
  backends: readonly Backend[];
}

export function Lanes({ series, axis, backends }: LanesProps) {
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const element = box.current;
    if (element === null) return;
    const watch = new ResizeObserver(() => setWidth(element.clientWidth));
    watch.observe(element);
    return () => watch.disconnect();
  }, []);
  const list = incidents.value?.value ?? [];
  const { shown, left } = lanesOf(series, backends, list, axis.to);
  const clusters = width === 0 ? [] : clustersOf(list, series.pool, axis.from, axis.to, width, APART);
  const total = clusters.reduce((sum, it) => sum + it.incidents.length, 0);
  const place = { paddingLeft: `${LEFT}px`, paddingRight: `${RIGHT}px` };
  const point = (event: PointerEvent): void => {
    const bounds = box.current?.getBoundingClientRect();
    if (bounds === undefined) return;
    const share = (event.clientX - bounds.left) / bounds.width;
    cursorAt.value = share >= 0 && share <= 1 ? axis.from + share * (axis.to - axis.from) : null;
  };
  return (
    <div class="lanes" onPointerMove={point} onPointerLeave={() => (cursorAt.value = null)}>
      <div class="stack-row">
        <h3 class="stack-name">
          Incidents <span class="quiet-text">{total === 0 ? 'none' : count(total)}</span>
        </h3>
        <div class="stack-plot" style={place}>
          <div class="marks" ref={box}>
            {clusters.map((it) => (
              <ClusterMark key={it.incidents[0]?.id} cluster={it} />
            ))}
          </div>
        </div>
      </div>
      {shown.map((lane) => (
        <div class="stack-row lane" key={lane.name} data-lane={lane.name}>
          <span class="stack-name lane-name">{lane.name}</span>
          <div class="stack-plot" style={place}>
            <Band lane={lane} axis={axis} width={width} />
          </div>
        </div>
      ))}
      {left > 0 && <p class="quiet-text lanes-left">{shown.length === 0 ? plural(left, 'backend') : plural(left, 'more backend')} without trouble</p>}
      <LanesKey />
      <LaneCursor axis={axis} />
    </div>
  );
}

function Band({ lane, axis, width }: { lane: Lane; axis: Axis; width: number }) {
  const all = [...lane.traffic, ...lane.trouble];
  return (
    <svg class="band" viewBox={`0 0 ${Math.max(1, width)} 10`} preserveAspectRatio="none" role="img" aria-label={told(lane, axis)}>
      {KINDS.map((kind) => {
        const path = pathOf(all, kind, axis.from, axis.to, width, LEAST[kind] ?? 0);
        return path === '' ? null : <path key={kind} class={`lane-${kind}`} d={path} />;
      })}
    </svg>
  );
}

/** "primary: served 12 m, out of service 2 times for 14 s" for who cannot see the band. */
function told(lane: Lane, axis: Axis): string {
  const inside = [...lane.traffic, ...lane.trouble].filter((it) => it.to > axis.from && it.from < axis.to);
  const length = (kind: LaneKind): number => inside.filter((it) => it.kind === kind).reduce((sum, it) => sum + Math.min(it.to, axis.to) - Math.max(it.from, axis.from), 0);
  const out = inside.filter((it) => it.kind === 'out').length;
  const parts = [`served ${span(length('serving'))}`];
  if (out > 0) parts.push(`out of service ${out === 1 ? 'once' : `${out} times`} for ${span(length('out'))}`);
  if (length('planned') > 0) parts.push(`taken out by an operator for ${span(length('planned'))}`);
  if (length('gap') > 0) parts.push(`the proxy did not run for ${span(length('gap'))}`);
  return `${lane.name}: ${parts.join(', ')}`;
}

function ClusterMark({ cluster }: { cluster: Cluster }) {
  const newest = cluster.incidents[cluster.incidents.length - 1];
  const oldest = cluster.incidents[0];
  if (newest === undefined || oldest === undefined) return null;
  const style = { left: `${cluster.at}px` };
  const worst = cluster.incidents.find((it) => it.requests.lost > 0) ?? newest;
  const look = STATE_LOOK[shownState(worst)];
  const tone = worst.requests.lost > 0 ? 'bad' : look.tone === 'off' ? 'moved' : look.tone;
  const first = Date.parse(oldest.moments.suspected_at) / 1000;
  const last = Date.parse(newest.moments.suspected_at) / 1000;
  if (cluster.incidents.length > 1 && last - first > WINDOW_MIN_SECONDS) {
    const says = `${cluster.incidents.length} incidents from ${clock(first * 1000)} to ${clock(last * 1000)}; look closer`;
    return (
      <button type="button" class={`cluster tone-${tone}`} style={style} title={says} aria-label={says} onClick={() => zoomTo(first - 5, last + 15)}>
        {cluster.incidents.length}
      </button>
    );
  }
  return (
    <a class={`cluster tone-${tone}`} style={style} href={incidentHref(worst.id)} title={toldMark(worst)} aria-label={toldMark(worst)} data-mark={worst.id}>
      {cluster.incidents.length > 1 ? cluster.incidents.length : <Icon name={worst.requests.lost > 0 ? 'octagon' : look.icon === 'check' ? 'swap' : look.icon} size={14} />}
    </a>
  );
}

function toldMark(incident: Incident): string {
  const { requests, moments } = incident;
  return `${incident.id}: ${causeWord(incident)} of ${incident.backend} at ${clock(Date.parse(moments.suspected_at))}, ${count(requests.rescued)} rescued, ${count(requests.lost)} lost`;
}

function LanesKey() {
  return (
    <ul class="lanes-key" aria-hidden="true">
      {(['serving', 'idle', 'suspect', 'out', 'planned', 'gap'] as const).map((kind) => (
        <li key={kind}>
          <svg class="band" viewBox="0 0 18 10" width="18" height="10" preserveAspectRatio="none">
            <path class={`lane-${kind}`} d="M0 0H18V10H0Z" />
          </svg>
          {KEY[kind]}
        </li>
      ))}
    </ul>
  );
}

const KEY: Record<LaneKind, string> = {
  serving: 'answering',
  idle: 'standing by',
  suspect: 'suspected',
  out: 'out of service',
  planned: 'taken out by an operator',
  gap: 'proxy did not run',
};

/** The shared cursor, drawn through the bands. */
function LaneCursor({ axis }: { axis: Axis }) {
  const at = cursorAt.value;
  if (at === null || at < axis.from || at > axis.to) return null;
  return (
    <div class="stack-row lane-cursor" aria-hidden="true">
      <span class="stack-name" />
      <div class="stack-plot" style={{ paddingLeft: `${LEFT}px`, paddingRight: `${RIGHT}px` }}>
        <div class="lane-cursor-track">
          <i style={{ left: `${(((at - axis.from) / (axis.to - axis.from)) * 100).toFixed(3)}%` }} />
        </div>
      </div>
    </div>
  );
}
