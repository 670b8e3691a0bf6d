// A time chart. The only file that touches uPlot. Colours come from CSS variables and are read
// again when the theme changes, because a canvas does not follow the page by itself.

import { useEffect, useRef } from 'preact/hooks';
import { effect } from '@preact/signals';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { cssColor, themeVersion } from '../theme';
import { clock } from '../format';
import type { Column } from '../wire/types';
import { bandsPlugin } from './bands';
import type { Band, Mark } from './bands';
import { cursorAt } from './cursor';
import type { Line } from './line';

/** What all charts on one time axis share. Unix seconds. */
export interface Axis {
  times: readonly number[];
  from: number;
  to: number;
  step: number;
  bands: readonly Band[];
  marks: readonly Mark[];
  /** Where the proxy did not run. */
  gaps: readonly { from: number; to: number }[];
}

interface ChartProps {
  id: string;
  /** What a screen reader hears instead of the picture. */
  summary: string;
  lines: readonly Line[];
  axis: Axis;
  /** One per line. */
  columns: readonly Column[];
  leftScale: 'linear' | 'log';
  /** Only the lowest of a stack writes the times. */
  isLast: boolean;
  onBrush: (from: number, to: number) => void;
  onPick: (at: number) => void;
}

const HEIGHT = 112;
const TIMES_HEIGHT = 24;
/** The same on every chart of a stack, so that a moment is in one line through all of them. */
export const LEFT = 50;
export const RIGHT = 44;
/** A drag shorter than this was a click. */
const BRUSH_MIN = 8;
/** Requests come whole, so the axis never counts halves. */
const WHOLE_STEPS = [1, 2, 5].flatMap((it) => [1, 10, 100, 1e3, 1e4, 1e5].map((unit) => it * unit)).sort((a, b) => a - b);
const FONT = '11px "Inter", -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif';

export function Chart(props: ChartProps) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const latest = useRef(props);
  latest.current = props;
  const shape = props.lines.map((it) => `${it.label} ${it.kind} ${it.color}`).join('|') + String(props.isLast);

  useEffect(() => {
    const element = box.current;
    if (element === null) return;
    const drawn = new uPlot(options(latest, element.clientWidth), data(latest.current), element);
    plot.current = drawn;
    const resize = new ResizeObserver(() => {
      if (element.clientWidth > 0 && element.clientWidth !== drawn.width) drawn.setSize({ width: element.clientWidth, height: heightOf(latest.current) });
    });
    resize.observe(element);
    const stopTheme = effect(() => {
      void themeVersion.value;
      drawn.redraw(false, true);
    });
    const stopCursor = effect(() => followCursor(drawn, cursorAt.value));
    return () => {
      stopTheme();
      stopCursor();
      resize.disconnect();
      drawn.destroy();
      plot.current = null;
    };
  }, [shape]);

  useEffect(() => {
    plot.current?.setData(data(props));
    if (plot.current !== null) followCursor(plot.current, cursorAt.peek());
  }, [props.columns, props.axis]);

  return <div class="chart" ref={box} id={props.id} role="img" aria-label={props.summary} />;
}

function heightOf(props: ChartProps): number {
  return HEIGHT + (props.isLast ? TIMES_HEIGHT : 0);
}

/** Puts the cursor where another chart, or a key, has put it. */
function followCursor(drawn: uPlot, at: number | null): void {
  const left = at === null ? -10 : drawn.valToPos(at, 'x');
  if (Math.abs((drawn.cursor.left ?? -10) - left) > 0.5) drawn.setCursor({ left, top: at === null ? -10 : 1 }, false);
}

function data(props: ChartProps): uPlot.AlignedData {
  return [props.axis.times, ...props.columns] as uPlot.AlignedData;
}

function options(latest: { current: ChartProps }, width: number): uPlot.Options {
  const { lines, leftScale, isLast } = latest.current;
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
    height: heightOf(latest.current),
    padding: [8, right === undefined ? RIGHT : 0, isLast ? 0 : 8, 0],
    legend: { show: false },
    cursor: { y: false, points: { size: 6 }, drag: { x: true, y: false, setScale: false, dist: BRUSH_MIN } },
    scales: {
      x: { time: true, range: () => [latest.current.axis.from, latest.current.axis.to] },
      left: leftScale === 'log' ? { distr: 3, log: 10, range: (_, min, max) => decades(min, max) } : { range: (_, __, max) => [0, ceiling(max, 5)] },
      right: { range: (_, __, max) => [0, Math.min(1, ceiling(max, 0.01))] },
    },
    axes: [
      axis(undefined, { values: (_, splits) => timeLabels(splits), space: () => (isShort(latest.current) ? 68 : 52), size: isLast ? TIMES_HEIGHT : 0, grid: { show: false }, show: isLast }),
      axis(left, { scale: 'left', size: LEFT, space: leftScale === 'log' ? 20 : 30, ...(leftScale === 'linear' ? { incrs: WHOLE_STEPS } : { splits: (_, __, min, max) => powers(min, max) }) }),
      ...(right === undefined ? [] : [axis(right, { scale: 'right', side: 1, size: RIGHT, space: 30, grid: { show: false } })]),
    ],
    series: [{}, ...lines.map(seriesOf)],
    plugins: [bandsPlugin(() => latest.current.axis)],
    hooks: { ready: [(u) => listen(u, latest)], setSelect: [(u) => brushed(u, latest.current)] },
  };
}

/** The pointer moves the shared cursor; a click without a drag picks a moment. */
function listen(u: uPlot, latest: { current: ChartProps }): void {
  let downAt = 0;
  const place = (event: PointerEvent): number => event.clientX - u.over.getBoundingClientRect().left;
  u.over.addEventListener('pointermove', (event) => (cursorAt.value = u.posToVal(place(event), 'x')));
  u.over.addEventListener('pointerleave', () => (cursorAt.value = null));
  u.over.addEventListener('pointerdown', (event) => (downAt = place(event)));
  u.over.addEventListener('pointerup', (event) => {
    if (Math.abs(place(event) - downAt) < BRUSH_MIN) latest.current.onPick(u.posToVal(place(event), 'x'));
  });
}

function brushed(u: uPlot, props: ChartProps): void {
  const { left, width } = u.select;
  if (width < BRUSH_MIN) return;
  props.onBrush(u.posToVal(left, 'x'), u.posToVal(left + width, 'x'));
  u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
}

/** Labels of a quarter of an hour may need seconds, and so more room. */
function isShort(props: ChartProps): boolean {
  return props.axis.to - props.axis.from <= 900;
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
