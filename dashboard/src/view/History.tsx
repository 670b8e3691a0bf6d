// What happened, on one time axis: incidents, a band per backend, and the signals below them.

import { useEffect, useMemo } from 'preact/hooks';
import type { Axis } from '../chart/Chart';
import { cursorAt, indexAt } from '../chart/cursor';
import { bandsOf, timesOf } from '../chart/columns';
import type { Mark } from '../chart/bands';
import { gapsOf } from '../chart/lanes';
import { clockSkew, connection, health, incidents, pool, restartedAt } from '../feed/store';
import { follow, past, pastProblem } from '../feed/past';
import { chooseRange, range, RANGES, zoom, zoomOut, zoomTo } from '../feed/window';
import { clock, day } from '../format';
import { addShortcuts } from '../keys';
import { incidentHref } from '../route';
import type { Incident, Series } from '../wire/types';
import { Icon } from './Icon';
import { Age } from './Incidents';
import { Lanes } from './Lanes';
import { ProblemBox } from './Notices';
import { Signals } from './Signals';

interface HistoryProps {
  heading: string;
  pool: string;
  /** A stretch that is not one of the ranges; unix seconds, `to` null for now. */
  fixed?: { from: number; to: number | null };
}

/** Seconds before the start that are shown, so that its mark stands clear of the axis. */
const YOUNG_MARGIN = 4;
const SPAN_MIN = 60;

export function History({ heading, pool: name, fixed }: HistoryProps) {
  const part = zoom.value;
  const now = Math.floor((Date.now() + clockSkew.value) / 1000);
  const from = part?.from ?? fixed?.from ?? null;
  const end = part === null ? (fixed?.to ?? null) : part.to;
  // What began at a moment and is not over grows in steps, so that not every second asks anew.
  const seconds = from === null ? range.value.seconds : Math.min(86_400, end === null ? Math.ceil((now - from) / 60) * 60 : end - from);
  useEffect(() => follow({ pool: name, seconds, end }), [name, seconds, end]);
  useEffect(
    () =>
      addShortcuts([
        {
          keys: 'Escape',
          says: 'Close what is open; show the whole time again',
          act: () => {
            if (zoom.value === null) return false;
            zoomOut();
            return true;
          },
        },
      ]),
    [],
  );
  const sample = past.value;
  const shown = sample?.value.pool === name ? sample.value : null;
  const problem = pastProblem.value;
  return (
    <section class="section" aria-labelledby="signals-heading">
      <div class="section-head">
        <h2 id="signals-heading">{heading}</h2>
        <Age at={end === null ? (sample?.at ?? null) : null} />
        <CursorTime />
        <span class="spacer" />
        {part !== null && (
          <button type="button" class="button" onClick={zoomOut}>
            <Icon name="back" size={14} /> {clock(part.from * 1000)} to {clock(part.to * 1000)}: show all
          </button>
        )}
        {fixed === undefined && <RangeChoice isZoomed={part !== null} />}
      </div>
      {problem !== null && <ProblemBox problem={problem} />}
      {shown === null ? (
        problem === null && connection.value.kind !== 'lost' && <div class="panel bone tall" aria-busy="true" />
      ) : (
        <Stack series={shown} seconds={seconds} isLive={end === null} from={from} />
      )}
    </section>
  );
}

/** The moment under the cursor, read out for all charts at once. */
function CursorTime() {
  const at = cursorAt.value;
  if (at === null) return <span class="quiet-text wide-only">latest values; drag to look closer</span>;
  const date = day(at * 1000, Date.now());
  return <span class="cursor-time">{`${date}${date && ' '}${clock(at * 1000)}`}</span>;
}

function RangeChoice(props: { isZoomed: boolean }) {
  return (
    <fieldset class="segments">
      <legend class="sr-only">Time shown</legend>
      {RANGES.map((it) => (
        <label key={it.name}>
          <input type="radio" name="range" class="sr-only" aria-label={it.says} checked={!props.isZoomed && range.value.name === it.name} onChange={() => chooseRange(it.name)} />
          <span class="wide-only" aria-hidden="true">
            {it.says}
          </span>
          <span class="narrow-only" aria-hidden="true">
            {it.short}
          </span>
        </label>
      ))}
    </fieldset>
  );
}

function axisOf(drawn: Series, span: number, isLive: boolean, list: readonly Incident[], started: string | undefined, from: number | null): Axis {
  const times = timesOf(drawn);
  const last = (times[times.length - 1] ?? drawn.start) + drawn.step_seconds;
  const bands = bandsOf(list, drawn.pool, last);
  const marks: Mark[] = started === undefined ? [] : [{ at: Date.parse(started) / 1000, label: 'proxy started' }];
  // A young proxy's history fills the chart rather than its right edge.
  const known = drawn.requests.findIndex((it) => it !== null && it > 0);
  const first = Math.max(drawn.start, Math.min(times[known] ?? last, started === undefined ? last : Date.parse(started) / 1000));
  const start = from ?? last - (isLive ? Math.min(span, Math.max(SPAN_MIN, last - first + YOUNG_MARGIN)) : span);
  return { times, from: start, to: last, step: drawn.step_seconds, bands, marks, gaps: gapsOf(drawn) };
}

function Stack(props: { series: Series; seconds: number; isLive: boolean; from: number | null }) {
  const { series: drawn, seconds, isLive, from } = props;
  const list = incidents.value?.value;
  const started = restartedAt.value ?? health.value?.value.started_at;
  const axis = useMemo(() => axisOf(drawn, seconds, isLive, list ?? [], started, from), [drawn, seconds, isLive, list, started, from]);
  const onPick = (at: number): void => {
    const slack = (axis.to - axis.from) / 200;
    const hit = axis.bands.findLast((it) => at >= it.from - slack && at <= it.to + slack);
    if (hit !== undefined) location.hash = incidentHref(hit.label);
  };
  return (
    <div class="panel stack">
      <CursorKeys axis={axis} />
      <Lanes series={drawn} axis={axis} backends={pool.value?.name === drawn.pool ? pool.value.backends : []} />
      <Signals series={drawn} axis={axis} onBrush={zoomTo} onPick={onPick} />
    </div>
  );
}

/** Moves the cursor by keys, for those without a pointer; what it reads is said. */
function CursorKeys({ axis }: { axis: Axis }) {
  const { times } = axis;
  const index = indexAt(times, cursorAt.value);
  const at = times[index];
  const mine = axis.bands.filter((it) => at !== undefined && at >= it.from && at <= it.to).map((it) => it.label);
  const said = at === undefined ? 'no values' : `${clock(at * 1000)}${mine.length > 0 ? `, during ${mine.join(' and ')}` : ''}`;
  return (
    <input
      type="range"
      class="sr-only cursor-keys"
      aria-label="Cursor on the time axis"
      aria-valuetext={said}
      min={0}
      max={Math.max(0, times.length - 1)}
      value={Math.max(0, index)}
      onInput={(event) => (cursorAt.value = times[Number(event.currentTarget.value)] ?? null)}
      onBlur={() => (cursorAt.value = null)}
    />
  );
}
