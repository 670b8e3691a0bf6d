// The signals on one time axis: errors, latency, and who answered, with incidents shaded.

import type { ComponentChildren } from 'preact';
import { Chart } from '../chart/Chart';
import type { Axis } from '../chart/Chart';
import { errorRatios, maximum, perSecond, rowSeconds, tableRows, total } from '../chart/columns';
import type { TableRow } from '../chart/columns';
import { Legend } from '../chart/Legend';
import type { Line } from '../chart/line';
import { pool } from '../feed/store';
import { count, duration, durationOrNone, plural, rate, ratio, span } from '../format';
import type { Backend, Column, Series } from '../wire/types';
import { ChartTable } from './ChartTable';

interface SignalsProps {
  series: Series;
  axis: Axis;
  onBrush: (from: number, to: number) => void;
  onPick: (at: number) => void;
}

export function Signals(props: SignalsProps) {
  return (
    <>
      <Errors {...props} />
      <Latency {...props} />
      <Backends {...props} />
    </>
  );
}

interface PanelProps {
  title: string;
  note: string;
  lines: readonly Line[];
  columns: readonly Column[];
  axis: Axis;
  children: ComponentChildren;
  table: ComponentChildren;
}

function Panel({ title, note, lines, columns, axis, children, table }: PanelProps) {
  return (
    <figure class={lines.length > 4 ? 'stack-row signal' : 'stack-row signal short'} aria-label={title}>
      <figcaption class="stack-name">
        <h3>{title}</h3>
        <span class="quiet-text">{note}</span>
        <Legend lines={lines} columns={columns} times={axis.times} />
      </figcaption>
      <div class="stack-plot">{children}</div>
      {table}
    </figure>
  );
}

/** "by 10 seconds", "by minute". */
function tableOf(axis: Axis): { length: number; by: string; rows: (series: Series) => TableRow[] } {
  const length = rowSeconds(axis.to - axis.from);
  return { length, by: `by ${span(length)}`, rows: (series) => tableRows(series, length, axis.from) };
}

const ERROR_LINES: readonly Line[] = [
  { label: 'rescued', color: '--series-rescued', kind: 'bars', axis: 'left', none: '0', format: rate },
  { label: 'lost', color: '--series-lost', kind: 'bars', axis: 'left', none: '0', format: rate },
  { label: 'error rate', color: '--series-error', kind: 'line', axis: 'right', dash: [6, 4], format: ratio },
];

function Errors({ series: drawn, axis, onBrush, onPick }: SignalsProps) {
  const ratios = errorRatios(drawn);
  const lost = total(drawn.lost);
  const rescued = total(drawn.rescued);
  const quiet = axis.times.every((time, index) => time < axis.from || ((drawn.lost[index] ?? 0) === 0 && (drawn.rescued[index] ?? 0) === 0));
  const summary = `Lost and rescued requests: ${plural(lost, 'request')} lost, ${count(rescued)} rescued, highest error rate ${ratio(maximum(ratios) ?? 0)}.`;
  const columns = [nonZero(drawn.rescued), nonZero(drawn.lost), ratios];
  const { by, rows } = tableOf(axis);
  const table = (
    <ChartTable
      caption={`Errors ${by}`}
      head={['Requests', 'Lost', 'Rescued', 'Error rate']}
      rows={() => rows(drawn)}
      cells={(row) => [count(row.requests), count(row.lost), count(row.rescued), ratio(row.requests > 0 ? row.lost / row.requests : 0)]}
    />
  );
  return (
    <Panel title="Errors" note={`in each ${axis.step === 1 ? 'second' : span(axis.step)}`} lines={ERROR_LINES} columns={columns} axis={axis} table={table}>
      <Chart id="chart-errors" summary={summary} lines={ERROR_LINES} columns={columns} leftScale="linear" isLast={false} axis={axis} onBrush={onBrush} onPick={onPick} />
      {quiet && <p class="chart-calm">No request lost or rescued</p>}
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

function Latency({ series: drawn, axis, onBrush, onPick }: SignalsProps) {
  const summary = `Latency of requests: highest p99 ${durationOrNone(maximum(drawn.p99_seconds))}, highest p50 ${durationOrNone(maximum(drawn.p50_seconds))}.`;
  const columns = [positive(drawn.p99_seconds), positive(drawn.p50_seconds)];
  const { by, rows } = tableOf(axis);
  const table = (
    <ChartTable
      caption={`Latency ${by}, the slowest point of each`}
      head={['p50', 'p99', 'Requests']}
      rows={() => rows(drawn)}
      cells={(row) => [durationOrNone(row.p50), durationOrNone(row.p99), count(row.requests)]}
    />
  );
  return (
    <Panel title="Latency" note="logarithmic" lines={LATENCY_LINES} columns={columns} axis={axis} table={table}>
      <Chart id="chart-latency" summary={summary} lines={LATENCY_LINES} columns={columns} leftScale="log" isLast={false} axis={axis} onBrush={onBrush} onPick={onPick} />
    </Panel>
  );
}

/** A logarithmic axis has no place for zero. */
function positive(column: Column): Column {
  return column.map((it) => (it === null || it <= 0 ? null : it));
}

/** As many colours as stay apart for most eyes. */
const BACKEND_COLORS = 6;
const DASHES: readonly number[][] = [[8, 3], [3, 3], [10, 3, 2, 3]];

function sumOf(drawn: Series, members: readonly Backend[]): Column {
  const columns = members.map((it) => drawn.backends[it.name]);
  return drawn.requests.map((requests, index) => (requests === null ? null : columns.reduce((sum, it) => sum + (it?.[index] ?? 0), 0)));
}

/** Each backend; of many, the tiers, because so many lines tell nothing. */
function answerers(drawn: Series, members: readonly Backend[]): { name: string; column: Column }[] {
  if (members.length <= BACKEND_COLORS) {
    const order = members.map((it) => it.name);
    const all = Object.entries(drawn.backends).map(([name, column]) => ({ name, column }));
    return all.sort((a, b) => order.indexOf(a.name) - order.indexOf(b.name));
  }
  const tiers = [...new Set(members.map((it) => it.tier))].sort((a, b) => a - b);
  return tiers.map((tier) => ({ name: `tier ${tier}`, column: sumOf(drawn, members.filter((it) => it.tier === tier)) }));
}

function Backends({ series: drawn, axis, onBrush, onPick }: SignalsProps) {
  const told = answerers(drawn, pool.value?.backends ?? []);
  const lines: Line[] = told.map(({ name }, index) => ({
    label: name,
    color: `--series-${(index % BACKEND_COLORS) + 1}`,
    kind: 'area',
    axis: 'left',
    format: rate,
    ...(index === 0 ? {} : { dash: DASHES[(index - 1) % DASHES.length] ?? [8, 3] }),
  }));
  const columns = told.map((it) => perSecond(it.column, drawn.step_seconds));
  const summary = `Requests answered per second by backend: ${told.map(({ name, column }) => `${name} ${count(total(column))} in all`).join(', ')}.`;
  const { by, rows } = tableOf(axis);
  const narrowed: Series = { ...drawn, backends: Object.fromEntries(told.map((it) => [it.name, it.column])) };
  const table = (
    <ChartTable caption={`Requests answered ${by}`} head={told.map((it) => it.name)} rows={() => rows(narrowed)} cells={(row) => row.backends.map((it) => count(it))} />
  );
  return (
    <Panel title="Backends" note="answers/s" lines={lines} columns={columns} axis={axis} table={table}>
      <Chart id="chart-backends" summary={summary} lines={lines} columns={columns} leftScale="linear" isLast axis={axis} onBrush={onBrush} onPick={onPick} />
    </Panel>
  );
}
