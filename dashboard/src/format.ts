// Numbers, durations and times as people read them. The one place that decides digits and units.

const NBSP = '\u00a0';
/** Shown where there is no value; a screen reader passes over it, so callers label it. */
export const NONE = '–';

const grouped = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });
const compact = new Intl.NumberFormat('en-US', { notation: 'compact', maximumFractionDigits: 1 });

export function count(value: number): string {
  return value >= 1_000_000 ? compact.format(value) : grouped.format(value);
}

/** "1 request", "3 requests". */
export function plural(value: number, noun: string): string {
  return `${count(value)} ${noun}${value === 1 ? '' : 's'}`;
}

export function rate(value: number): string {
  return value < 10 && !Number.isInteger(value) ? value.toFixed(1) : count(Math.round(value));
}

/** A share between 0 and 1 as a percentage; what is not nothing never reads "0 %", what is not all never "100 %". */
export function ratio(value: number): string {
  const percent = value * 100;
  if (percent === 0) return `0${NBSP}%`;
  if (percent < 0.01) return `<${NBSP}0.01${NBSP}%`;
  if (percent < 1) return `${trim(percent, 2)}${NBSP}%`;
  if (percent < 10) return `${trim(percent, 1)}${NBSP}%`;
  if (percent > 99 && percent < 100) return `${trim(Math.floor(percent * 10) / 10, 1)}${NBSP}%`;
  return `${percent.toFixed(0)}${NBSP}%`;
}

/** A measured length, with three digits at most: "0.4 ms", "13 ms", "3.2 s", "2 m 14 s", "2 h 14 m". */
export function duration(seconds: number): string {
  if (seconds === 0) return `0${NBSP}ms`;
  if (seconds < 0.0001) return `${Math.max(1, Math.round(seconds * 1e6))}${NBSP}µs`;
  if (seconds < 0.00995) return `${trim(seconds * 1000, 1)}${NBSP}ms`;
  if (seconds < 0.9995) return `${Math.round(seconds * 1000)}${NBSP}ms`;
  if (seconds < 59.95) return `${trim(seconds, 1)}${NBSP}s`;
  return span(seconds);
}

function trim(value: number, digits: number): string {
  return value.toFixed(digits).replace(/(\.\d*?)0+$/, '$1').replace(/\.$/, '');
}

/** A wait or an age in whole seconds: "12 s", "2 m 14 s", "2 h 14 m", "3 d 4 h". */
export function span(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const pair = (a: number, unitA: string, b: number, unitB: string): string =>
    b === 0 ? `${a}${NBSP}${unitA}` : `${a}${NBSP}${unitA} ${b}${NBSP}${unitB}`;
  if (whole < 60) return `${whole}${NBSP}s`;
  if (whole < 3600) return pair(Math.floor(whole / 60), 'm', whole % 60, 's');
  if (whole < 86_400) return pair(Math.floor(whole / 3600), 'h', Math.floor((whole % 3600) / 60), 'm');
  return pair(Math.floor(whole / 86_400), 'd', Math.floor((whole % 86_400) / 3600), 'h');
}

export function durationOrNone(seconds: number | null): string {
  return seconds === null ? NONE : duration(seconds);
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}

/** Local time of day, 24 h: "10:03:13". */
export function clock(at: number): string {
  const date = new Date(at);
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** Local time of day with milliseconds: "10:03:13.012". */
export function clockMillis(at: number): string {
  return `${clock(at)}.${String(new Date(at).getMilliseconds()).padStart(3, '0')}`;
}

/** Local date, only where the day is not today's: "12 Mar". Empty today. */
export function day(at: number, now: number): string {
  const date = new Date(at);
  if (date.toDateString() === new Date(now).toDateString()) return '';
  return date.toLocaleDateString('en-GB', { day: 'numeric', month: 'short' });
}

/** The full moment in UTC, for the tooltip: "2026-03-12 09:03:13.012 UTC". */
export function utc(at: number): string {
  return new Date(at).toISOString().replace('T', ' ').replace('Z', ' UTC');
}

/** "a", "a and b", "a, b and 2 more". */
export function names(all: readonly string[]): string {
  const [first, second, ...rest] = all;
  if (first === undefined) return 'nothing';
  if (second === undefined) return first;
  if (rest.length === 0) return `${first} and ${second}`;
  return `${first}, ${second} and ${rest.length} more`;
}
