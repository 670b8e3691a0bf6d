// The signals on one time axis: errors, latency, and who answered, with incidents shaded.

import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import { Chart } from '../chart/Chart';
import type { Band, Mark } from '../chart/bands';
import { bandsOf, errorRatios, maximum, perSecond, tableRows, timesOf, total } from '../chart/columns';
import type { Line } from '../chart/line';
import { clockSkew, connection, health, incidents, pool, restartedAt, series, seriesProblem, wholeSeries } from '../feed/store';
import { SERIES_SECONDS } from '../feed/feed';
import { count, duration, durationOrNone, plural, rate, ratio } from '../format';
import type { Column, Series } from '../wire/types';
import { ChartTable } from './ChartTable';
import { Age } from './Incidents';
import { ProblemBox } from './Notices';

export function Signals() {
  const sample = series.value;
  const whole = wholeSeries.value;
  const problem = seriesProblem.value;
  const [span, setSpan] = useState(SERIES_SECONDS);
  return (
    <section class="section" aria-labelledby="signals-heading">
      <div class="section-head">
        <h2 id="signals-heading">Signals</h2>
        <span class="quiet-text">incidents shaded</span>
        <Age at={sample?.at ?? null} />
        <span class="spacer" />
        <SpanChoice span={span} onPick={setSpan} />
      </div>
      {problem !== null && <ProblemBox problem={problem} />}
      {whole === null ? (
        problem === null && connection.value.kind !== 'lost' && <Bones />
      ) : (
        <Charts series={whole} span={span} />
      )}
    </section>
  );
}

const SPANS: readonly [number, string][] = [
  [60, '1 minute'],
  [SERIES_SECONDS, '5 minutes'],
];

function SpanChoice(props: { span: number; onPick: (span: number) => void }) {
  return (
    <fieldset class="segments">
      <legend class="sr-only">Time shown</legend>
      {SPANS.map(([seconds, name]) => (
        <label key={seconds}>
          <input type="radio" name="span" class="sr-only" checked={props.span === seconds} onChange={() => props.onPick(seconds)} />
          <span>{name}</span>
        </label>
      ))}
    </fieldset>
  );
}

function Bones() {
  return (
    <div class="charts" aria-busy="true">
      <div class="panel bone tall" />
      <div class="panel bone tall" />
      <div class="panel bone tall" />
    </div>
  );
}

interface Axis {
  times: readonly number[];
  from: number;
  to: number;
  bands: readonly Band[];
  marks: readonly Mark[];
}

/** Seconds before the start that are shown, so that its mark stands clear of the axis. */
const YOUNG_MARGIN = 4;
const SPAN_MIN = 60;

function axisOf(drawn: Series, span: number): Axis {
  const times = timesOf(drawn);
  const to = (times[times.length - 1] ?? (Date.now() + clockSkew.value) / 1000) + drawn.step_seconds;
  const bands = bandsOf(incidents.value?.value ?? [], drawn.pool, to);
  const started = health.value?.value.started_at;
  const restarted = restartedAt.value ?? started;
  const marks: Mark[] = restarted === undefined ? [] : [{ at: Date.parse(restarted) / 1000, label: 'proxy started' }];
  // A young proxy's history fills the chart rather than its right edge.
  const age = started === undefined ? span : to - Date.parse(started) / 1000 + YOUNG_MARGIN;
  return { times, from: to - Math.min(span, Math.max(SPAN_MIN, age)), to, bands, marks };
}

function Charts(props: { series: Series; span: number }) {
  const drawn = props.series;
  const axis = axisOf(drawn, props.span);
  return (
    <div class="charts">
      <Errors series={drawn} axis={axis} />
      <Latency series={drawn} axis={axis} />
      <Backends series={drawn} axis={axis} />
    </div>
  );
}

interface SignalProps {
  series: Series;
  axis: Axis;
}

function Panel(props: { title: string; note: string; children: ComponentChildren }) {
  return (
    <figure class="panel signal" aria-label={props.title}>
      <figcaption>
        <h3>{props.title}</h3>
        <span class="quiet-text">{props.note}</span>
      </figcaption>
      {props.children}
    </figure>
  );
}

const ERROR_LINES: readonly Line[] = [
  { label: 'rescued', color: '--series-rescued', kind: 'bars', axis: 'left', none: '0', format: rate },
  { label: 'lost', color: '--series-lost', kind: 'bars', axis: 'left', none: '0', format: rate },
  { label: 'error rate', color: '--series-error', kind: 'line', axis: 'right', dash: [6, 4], format: ratio },
];

function Errors({ series: drawn, axis }: SignalProps) {
  const ratios = errorRatios(drawn);
  const lost = total(drawn.lost);
  const rescued = total(drawn.rescued);
  const quiet = axis.times.every((time, index) => time < axis.from || ((drawn.lost[index] ?? 0) === 0 && (drawn.rescued[index] ?? 0) === 0));
  const summary = `Lost and rescued requests per second: ${plural(lost, 'request')} lost, ${count(rescued)} rescued, highest error rate ${ratio(maximum(ratios) ?? 0)}.`;
  return (
    <Panel title="Errors" note="requests per second, and share lost">
      <Chart
        id="chart-errors"
        summary={summary}
        lines={ERROR_LINES}
        columns={[nonZero(drawn.rescued), nonZero(drawn.lost), ratios]}
        leftScale="linear"
        {...axis}
      />
      {quiet && <p class="chart-calm">No request lost or rescued</p>}
      <ChartTable
        caption="Errors by 10 seconds"
        head={['Requests', 'Lost', 'Rescued', 'Error rate']}
        rows={() => tableRows(drawn)}
        cells={(row) => [count(row.requests), count(row.lost), count(row.rescued), ratio(row.requests > 0 ? row.lost / row.requests : 0)]}
      />
    </Panel>
  );
}

/** Bars of no height would be drawn as a line along the axis. */
function nonZero(column: Column): Column {
  return column.map((it) => (it === 0 ? null : it));
}

const LATENCY_LINES: readonly Line[] = [
  { label: 'p99', color: '--series-p99', kind: 'line', axis: 'left', format: duration },
  { label: 'p50', color: '--series-p50', kind: 'line', axis: 'left', dash: [6, 4], format: duration },
];

function Latency({ series: drawn, axis }: SignalProps) {
  const highest99 = maximum(drawn.p99_seconds);
  const summary = `Latency of requests: highest p99 ${durationOrNone(highest99)}, highest p50 ${durationOrNone(maximum(drawn.p50_seconds))}.`;
  return (
    <Panel title="Latency" note="p50 and p99, logarithmic">
      <Chart id="chart-latency" summary={summary} lines={LATENCY_LINES} columns={[positive(drawn.p99_seconds), positive(drawn.p50_seconds)]} leftScale="log" {...axis} />
      <ChartTable
        caption="Latency by 10 seconds, the slowest second of each"
        head={['p50', 'p99', 'Requests']}
        rows={() => tableRows(drawn)}
        cells={(row) => [durationOrNone(row.p50), durationOrNone(row.p99), count(row.requests)]}
      />
    </Panel>
  );
}

/** A logarithmic axis has no place for zero. */
function positive(column: Column): Column {
  return column.map((it) => (it === null || it <= 0 ? null : it));
}

/** As many colours as stay apart for most eyes; further backends repeat them with dashes. */
const BACKEND_COLORS = 6;

function Backends({ series: drawn, axis }: SignalProps) {
  const order = pool.value?.backends.map((it) => it.name) ?? [];
  const known = Object.keys(drawn.backends).sort((a, b) => order.indexOf(a) - order.indexOf(b));
  const lines: Line[] = known.map((name, index) => ({
    label: name,
    color: `--series-${(index % BACKEND_COLORS) + 1}`,
    kind: 'area',
    axis: 'left',
    format: rate,
    ...(index === 0 ? {} : { dash: [[8, 3], [3, 3], [10, 3, 2, 3]][(index - 1) % 3] ?? [8, 3] }),
  }));
  const columns = known.map((name) => perSecond(drawn.backends[name] ?? [], drawn.step_seconds));
  const summary = `Requests answered per second by backend: ${known.map((name) => `${name} ${count(total(drawn.backends[name] ?? []))} in all`).join(', ')}.`;
  return (
    <Panel title="Backends" note="requests answered per second">
      <Chart id="chart-backends" summary={summary} lines={lines} columns={columns} leftScale="linear" {...axis} />
      <ChartTable
        caption="Requests answered by 10 seconds"
        head={known}
        rows={() => tableRows(drawn)}
        cells={(row) => Object.keys(drawn.backends).map((name, index) => ({ name, value: row.backends[index] ?? 0 })).sort((a, b) => known.indexOf(a.name) - known.indexOf(b.name)).map((it) => count(it.value))}
      />
    </Panel>
  );
}
