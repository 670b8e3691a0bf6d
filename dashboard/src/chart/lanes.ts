// What each backend did over time, as far as the API tells: who answered from the series, who was out
// from the incidents, and how everybody is now from the health. Pure.

import type { Backend, Incident, Series } from '../wire/types';

export type LaneKind = 'serving' | 'idle' | 'gap' | 'suspect' | 'out' | 'planned';

/** Unix seconds. */
interface Stretch {
  from: number;
  to: number;
  kind: LaneKind;
}

export interface Lane {
  name: string;
  /** Without holes, one after the other. */
  traffic: Stretch[];
  /** Over the traffic. */
  trouble: Stretch[];
}

/** More bands than this are not read. */
const LANES_MAX = 12;
/** A backend that gets a request now and then serves all the time: pauses up to this many points are bridged. */
const BRIDGED_POINTS = 4;

const seconds = (at: string): number => Date.parse(at) / 1000;

/** All, if they are few; of many, those in trouble, and how many are left out. */
export function lanesOf(series: Series, backends: readonly Backend[], incidents: readonly Incident[], now: number, max = LANES_MAX): { shown: Lane[]; left: number } {
  const mine = byBackend(incidents, series.pool);
  const isFew = backends.length <= max;
  const told = isFew ? backends : backends.filter((it) => mine.has(it.name) || conditionOf(it) !== null).slice(0, max);
  const shown = told.map((backend) => {
    const traffic = trafficOf(series, backend.name);
    return { name: backend.name, traffic, trouble: troubleOf(backend, mine.get(backend.name) ?? [], traffic, now) };
  });
  return { shown, left: backends.length - shown.length };
}

function byBackend(incidents: readonly Incident[], pool: string): Map<string, Incident[]> {
  const found = new Map<string, Incident[]>();
  for (const it of incidents) {
    if (it.pool === pool) found.set(it.backend, [...(found.get(it.backend) ?? []), it]);
  }
  return found;
}

function trafficOf(series: Series, name: string): Stretch[] {
  const column = series.backends[name] ?? [];
  const step = series.step_seconds;
  const found: Stretch[] = [];
  series.requests.forEach((requests, index) => {
    const kind: LaneKind = requests === null ? 'gap' : (column[index] ?? 0) > 0 ? 'serving' : 'idle';
    const from = series.start + index * step;
    const last = found[found.length - 1];
    if (last?.kind === kind) last.to = from + step;
    else found.push({ from, to: from + step, kind });
  });
  return bridge(found, BRIDGED_POINTS * step);
}

function bridge(stretches: readonly Stretch[], longest: number): Stretch[] {
  const joined: Stretch[] = [];
  stretches.forEach((it, index) => {
    const last = joined[joined.length - 1];
    const isPause = it.kind === 'idle' && it.to - it.from <= longest && stretches[index + 1]?.kind === 'serving';
    if (last?.kind === 'serving' && (isPause || it.kind === 'serving')) last.to = it.to;
    else joined.push({ ...it });
  });
  return joined;
}

function troubleOf(backend: Backend, incidents: readonly Incident[], traffic: readonly Stretch[], now: number): Stretch[] {
  const found = incidents.flatMap((it): Stretch[] => {
    const { suspected_at, decided_at, recovered_at } = it.moments;
    const end = recovered_at ?? (it.state === 'closed' ? it.window.to : null);
    const out: LaneKind = it.cause === 'drained' || it.cause === 'manual' ? 'planned' : 'out';
    return [
      { from: seconds(suspected_at), to: seconds(decided_at), kind: 'suspect' },
      { from: seconds(decided_at), to: end === null ? now : seconds(end), kind: out },
    ];
  });
  const kind = conditionOf(backend);
  const since = kind === 'planned' ? lastServed(traffic, now) : seconds(backend.since);
  if (kind !== null && !found.some((it) => it.from <= since && it.to >= now - 1 && it.kind !== 'suspect')) found.push({ from: since, to: now, kind });
  return found.filter((it) => it.to > it.from).sort((a, b) => a.from - b.from);
}

/** Since when operators want no traffic is not told; what is known is when it answered last. */
function lastServed(traffic: readonly Stretch[], now: number): number {
  return traffic.findLast((it) => it.kind === 'serving')?.to ?? now - 1;
}

function conditionOf(backend: Backend): LaneKind | null {
  if (backend.ejected_by_operator || backend.intent !== 'enabled') return 'planned';
  if (backend.state === 'down' || backend.state === 'ejected') return 'out';
  return backend.state === 'failing' ? 'suspect' : null;
}

/** The outline of all stretches of one kind, for one SVG path; `least` is the width that is still seen. */
export function pathOf(stretches: readonly Stretch[], kind: LaneKind, from: number, to: number, width: number, least: number): string {
  const scale = width / (to - from);
  let path = '';
  for (const it of stretches) {
    if (it.kind !== kind || it.to < from || it.from > to) continue;
    const left = Math.max(0, (it.from - from) * scale);
    const right = Math.min(width, Math.max(left + least, (it.to - from) * scale));
    path += `M${left.toFixed(1)} 0H${right.toFixed(1)}V10H${left.toFixed(1)}Z`;
  }
  return path;
}

/** Marks that would cover each other, as one. Newest last. */
export interface Cluster {
  /** Pixels from the left. */
  at: number;
  incidents: Incident[];
}

export function clustersOf(incidents: readonly Incident[], pool: string, from: number, to: number, width: number, apart: number): Cluster[] {
  const found: Cluster[] = [];
  const scale = width / (to - from);
  const inside = incidents
    .filter((it) => it.pool === pool)
    .map((incident) => ({ incident, at: (seconds(incident.moments.suspected_at) - from) * scale }))
    .filter((it) => it.at >= 0 && it.at <= width)
    .map((it) => ({ ...it, at: Math.min(Math.max(apart / 2, it.at), Math.max(apart / 2, width - apart / 2)) }))
    .sort((a, b) => a.at - b.at);
  for (const { incident, at } of inside) {
    const last = found[found.length - 1];
    if (last !== undefined && at - last.at < apart) last.incidents.push(incident);
    else found.push({ at, incidents: [incident] });
  }
  return found;
}

/** Where the proxy did not run: stretches of points without a value. Unix seconds. */
export function gapsOf(series: Series): { from: number; to: number }[] {
  const known = series.requests.findIndex((it) => it !== null);
  if (known < 0) return [];
  return trafficOf(series, '')
    .filter((it) => it.kind === 'gap' && it.to > series.start + known * series.step_seconds)
    .map(({ from, to }) => ({ from, to }));
}
