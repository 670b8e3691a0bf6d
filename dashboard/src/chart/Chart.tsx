// A time chart. The only file that touches uPlot. Colours come from CSS variables and are read
// again when the theme changes, because a canvas does not follow the page by itself.

import { useEffect, useRef } from 'preact/hooks';
import { effect, useSignal } from '@preact/signals';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { cssColor, themeVersion } from '../theme';
import { clock } from '../format';
import { bandsPlugin } from './bands';
import type { Band, Mark } from './bands';
import { Legend } from './Legend';
import type { Line } from './line';

export interface ChartProps {
  id: string;
  /** What a screen reader hears instead of the picture. */
  summary: string;
  lines: readonly Line[];
  /** Unix seconds, then one column per line. */
  times: readonly number[];
  columns: readonly (readonly (number | null)[])[];
  from: number;
  to: number;
  bands: readonly Band[];
  marks: readonly Mark[];
  leftScale: 'linear' | 'log';
}

const HEIGHT = 190;
/** Requests come whole, so the axis never counts halves. */
const WHOLE_STEPS = [1, 2, 5].flatMap((it) => [1, 10, 100, 1e3, 1e4, 1e5].map((unit) => it * unit)).sort((a, b) => a - b);
const FONT = '11px "Inter", -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif';

export function Chart(props: ChartProps) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const latest = useRef(props);
  latest.current = props;
  const hover = useSignal<number | null>(null);
  const shape = props.lines.map((it) => `${it.label} ${it.kind} ${it.color}`).join('|');

  useEffect(() => {
    const element = box.current;
    if (element === null) return;
    const drawn = new uPlot(options(latest, element.clientWidth, (at) => (hover.value = at)), data(latest.current), element);
    plot.current = drawn;
    const resize = new ResizeObserver(() => {
      if (element.clientWidth > 0) drawn.setSize({ width: element.clientWidth, height: HEIGHT });
    });
    resize.observe(element);
    const stop = effect(() => {
      void themeVersion.value;
      drawn.redraw(false, true);
    });
    return () => {
      stop();
      resize.disconnect();
      drawn.destroy();
      plot.current = null;
    };
  }, [shape]);

  useEffect(() => {
    plot.current?.setData(data(props));
  }, [props.columns, props.from, props.to]);

  const shown = hover.value ?? props.times.length - 1;
  return (
    <>
      <Legend
        lines={props.lines}
        values={props.columns.map((column) => column[shown] ?? null)}
        at={hover.value === null ? null : (props.times[hover.value] ?? null)}
      />
      <div class="chart" ref={box} id={props.id} role="img" aria-label={props.summary} />
    </>
  );
}

function data(props: ChartProps): uPlot.AlignedData {
  return [[...props.times], ...props.columns.map((column) => [...column])] as uPlot.AlignedData;
}

function options(latest: { current: ChartProps }, width: number, onHover: (at: number | null) => void): uPlot.Options {
  const { lines, leftScale } = latest.current;
  const right = lines.find((it) => it.axis === 'right');
  const left = lines.find((it) => it.axis === 'left');
  const axis = (line: Line | undefined, extra: uPlot.Axis): uPlot.Axis => ({
    stroke: () => cssColor('--chart-ink'),
    font: FONT,
    ticks: { show: false },
    grid: { stroke: () => cssColor('--chart-grid'), width: 1 },
    gap: 4,
    values: (_, splits) => splits.map((it) => (it === null || line === undefined ? '' : line.format(it))),
    ...extra,
  });
  return {
    width: Math.max(120, width),
    height: HEIGHT,
    padding: [8, right === undefined ? 12 : 0, 0, 0],
    legend: { show: false },
    cursor: { y: false, sync: { key: 'bascule' }, points: { size: 6 }, drag: { x: false, y: false } },
    scales: {
      x: { time: true, range: () => [latest.current.from, latest.current.to] },
      left: leftScale === 'log' ? { distr: 3, log: 10, range: (_, min, max) => decades(min, max) } : { range: (_, __, max) => [0, ceiling(max, 5)] },
      right: { range: (_, __, max) => [0, Math.min(1, ceiling(max, 0.01))] },
    },
    axes: [
      axis(undefined, { values: (_, splits) => timeLabels(splits), space: () => (isShort(latest.current) ? 66 : 48), size: 26, grid: { show: false } }),
      axis(left, { scale: 'left', size: 46, space: 34, ...(leftScale === 'linear' ? { incrs: WHOLE_STEPS } : { splits: (_, __, min, max) => powers(min, max) }) }),
      ...(right === undefined ? [] : [axis(right, { scale: 'right', side: 1, size: 44, grid: { show: false } })]),
    ],
    series: [{}, ...lines.map(seriesOf)],
    plugins: [bandsPlugin(() => latest.current)],
    hooks: { setCursor: [(u) => onHover(u.cursor.idx ?? null)] },
  };
}

/** Below three minutes the labels need seconds, and so more room. */
function isShort(props: ChartProps): boolean {
  return props.to - props.from < 180;
}

function timeLabels(splits: number[]): string[] {
  const [first = 0, second = first + 60] = splits;
  return splits.map((it) => clock(it * 1000).slice(0, second - first < 60 ? 8 : 5));
}

function seriesOf(line: Line): uPlot.Series {
  const color = (): string => cssColor(line.color);
  const base: uPlot.Series = {
    scale: line.axis,
    stroke: color,
    width: line.kind === 'bars' ? 0 : 1.75,
    points: { show: false },
    ...(line.dash === undefined ? {} : { dash: line.dash }),
  };
  if (line.kind === 'area') return { ...base, fill: () => translucent(color(), 0.16) };
  if (line.kind === 'bars') {
    const bars = uPlot.paths.bars?.({ size: [1, 10, 3] });
    return { ...base, fill: color, ...(bars === undefined ? {} : { paths: bars }) };
  }
  return base;
}

/** The same colour, `alpha` as strong. Computed colours read `rgb(r, g, b)`. */
function translucent(color: string, alpha: number): string {
  return color.replace(/^rgb\((.*)\)$/, `rgba($1, ${alpha})`);
}

/** The round number above `max`, never below `least`, so that a quiet chart does not magnify noise. */
function ceiling(max: number | null, least: number): number {
  const wanted = Math.max((max ?? 0) * 1.05, least);
  const unit = 10 ** Math.floor(Math.log10(wanted));
  const step = [1, 2, 2.5, 5, 10].find((it) => it * unit >= wanted * 0.999) ?? 10;
  return step * unit;
}

/** The powers of ten from `min` to `max`; lines between them would only be noise. */
function powers(min: number, max: number): number[] {
  const first = Math.round(Math.log10(min));
  const last = Math.round(Math.log10(max));
  return Array.from({ length: last - first + 1 }, (_, index) => 10 ** (first + index));
}

/** Whole decades around the values; a tenth of a millisecond to a second when there are none. */
function decades(min: number | null, max: number | null): [number, number] {
  if (min === null || max === null || !(min > 0)) return [1e-4, 1];
  const low = Math.floor(Math.log10(min));
  return [10 ** low, 10 ** Math.max(low + 1, Math.ceil(Math.log10(max)))];
}
