// The rows of the log that are in sight, and no others. Rows have one height, so places are arithmetic;
// one line can be open to show its JSON, and the rows below it move down by that box's height.

import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { hasNeedle, hits, logConnection, needle, onlyWindow, pause, paused, resume, rows, showsAll } from '../feed/log';
import { fieldsText } from '../feed/loglines';
import type { LogRow } from '../feed/loglines';
import type { LogLine } from '../wire/types';
import { clock, clockMillis, utc } from '../format';
import { copyText } from '../save';
import { Icon, LEVEL_ICON } from './Icon';
import { focusedRow, sightings } from './logfocus';

const ROW = 24;
const OPEN = 208;
/** Rows drawn above and below the part in sight, so that scrolling shows no gap. */
const SPARE = 4;
/** Closer to the end than this counts as being at the end. */
const SLACK = ROW;

export function LogRows() {
  const box = useRef<HTMLDivElement>(null);
  const [top, setTop] = useState(0);
  const [height, setHeight] = useState(400);
  const [open, setOpen] = useState<string | null>(null);
  const focused = focusedRow.value;
  const setFocused = (n: number | null): void => {
    focusedRow.value = n;
  };
  const shown = rows.value;
  const still = paused.value;
  const openAt = open === null ? -1 : shown.findIndex((row) => row.key === open);
  const place = (index: number): number => index * ROW + (openAt >= 0 && index > openAt ? OPEN : 0);
  const total = place(shown.length);

  useEffect(() => {
    const element = box.current;
    if (element === null) return;
    const watch = new ResizeObserver(() => setHeight(element.clientHeight));
    watch.observe(element);
    return () => watch.disconnect();
  }, []);

  // Following means standing at the end after every change.
  useLayoutEffect(() => {
    const element = box.current;
    if (element !== null && !still) element.scrollTop = element.scrollHeight;
  }, [shown, still, height]);

  // A line opened near the edge would show its JSON out of sight.
  useLayoutEffect(() => {
    const element = box.current;
    if (element === null || openAt < 0) return;
    const end = place(openAt) + ROW + OPEN;
    if (end > element.scrollTop + element.clientHeight) element.scrollTop = end - element.clientHeight;
  }, [open]);

  const onScroll = (): void => {
    const element = box.current;
    if (element === null) return;
    setTop(element.scrollTop);
    const atEnd = element.scrollHeight - element.scrollTop - element.clientHeight <= SLACK;
    if (!atEnd && !still && scrolledByHand(element)) pause();
  };

  const first = Math.max(0, Math.floor((top - (openAt >= 0 && top > place(openAt) ? OPEN : 0)) / ROW) - SPARE);
  const last = Math.min(shown.length, first + Math.ceil(height / ROW) + 2 * SPARE);
  const marksHits = hasNeedle.value && showsAll.value;
  const toggle = (row: LogRow): void => {
    pause();
    setFocused(row.n);
    setOpen(open === row.key ? null : row.key);
  };

  // A match that was jumped to comes into sight.
  useLayoutEffect(() => {
    const index = shown.findIndex((row) => row.n === focusedRow.peek());
    if (box.current !== null && index >= 0 && sightings.value > 0) bring(box.current, place(index));
  }, [sightings.value]);

  const move = (by: number): void => {
    pause();
    const from = focused === null ? shown.length - 1 : shown.findIndex((row) => row.n === focused);
    const index = Math.min(shown.length - 1, Math.max(0, from + by));
    const row = shown[index];
    const element = box.current;
    if (row === undefined || element === null) return;
    setFocused(row.n);
    bring(element, place(index));
  };

  const onKeyDown = (event: KeyboardEvent): void => {
    // The open line's box scrolls by the same keys.
    if (event.key !== 'Escape' && event.target instanceof HTMLPreElement) return;
    const page = Math.floor(height / ROW) - 1;
    const steps: Record<string, number> = { ArrowUp: -1, ArrowDown: 1, PageUp: -page, PageDown: page, Home: -Infinity, End: Infinity };
    const step = steps[event.key];
    if (step !== undefined) move(step === Infinity ? shown.length : step === -Infinity ? -shown.length : step);
    else if (event.key === 'Enter') {
      const row = shown.find((it) => it.n === focused);
      if (row !== undefined) toggle(row);
    } else if (event.key === ' ') (still ? resume : pause)();
    else if (event.key === 'Escape') {
      setOpen(null);
      setFocused(null);
      resume();
    } else return;
    event.preventDefault();
  };

  return (
    <div
      class="log-box"
      ref={box}
      role="log"
      aria-live="off"
      aria-label="Log lines. Arrow keys move, Enter opens a line, Space pauses, Escape resumes."
      tabIndex={0}
      onScroll={onScroll}
      onKeyDown={onKeyDown}
    >
      {shown.length === 0 && <NoRows />}
      <div class="log-space" style={{ height: `${total}px` }}>
        {shown.slice(first, last).map((row, offset) => {
          const index = first + offset;
          return (
            <div key={row.key} class="log-place" style={{ transform: `translateY(${place(index)}px)` }}>
              <Row row={row} open={index === openAt} focused={row.n === focused} isHit={marksHits && isHit(row)} onToggle={() => toggle(row)} />
              {index === openAt && row.kind === 'line' && <Json line={row.line} />}
            </div>
          );
        })}
      </div>
    </div>
  );
}

/** Scrolls so that the row at `top` is seen. */
function bring(element: HTMLElement, top: number): void {
  if (top < element.scrollTop) element.scrollTop = top;
  if (top + ROW > element.scrollTop + element.clientHeight) element.scrollTop = top + ROW - element.clientHeight;
}

/** Hits are in order, so one is found by halving. */
function isHit(row: LogRow): boolean {
  const found = hits.value;
  let low = 0;
  let high = found.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const n = found[middle]?.n ?? 0;
    if (n === row.n) return true;
    if (n < row.n) low = middle + 1;
    else high = middle - 1;
  }
  return false;
}

function Json(props: { line: LogLine }) {
  return (
    <div class="log-json">
      <button type="button" class="button" onClick={() => void copyText(JSON.stringify(props.line, null, 2))}>
        <Icon name="copy" size={13} /> Copy
      </button>
      <pre tabIndex={0} role="region" aria-label="The line as JSON">
        {JSON.stringify(props.line, null, 2)}
      </pre>
    </div>
  );
}

/** Growing content moves the end away without anybody scrolling; only a pointer, wheel or key is a wish. */
function scrolledByHand(element: HTMLElement): boolean {
  return element.matches(':hover, :focus, :focus-within') || matchMedia('(pointer: coarse)').matches;
}

function NoRows() {
  const waiting = logConnection.value.kind !== 'open';
  return (
    <p class="log-empty">
      {hasNeedle.value
        ? `No line holds “${needle.value}”.`
        : waiting
          ? 'Waiting for the log…'
          : onlyWindow.value !== null
            ? 'No line of that time is kept: the page knows those that the proxy still had when it was opened, and later ones.'
            : 'No lines yet. State changes appear here as they happen.'}
    </p>
  );
}

interface RowProps {
  row: LogRow;
  open: boolean;
  focused: boolean;
  isHit: boolean;
  onToggle: () => void;
}

function Row({ row, open, focused, isHit, onToggle }: RowProps) {
  if (row.kind !== 'line') {
    return (
      <div class={focused ? `log-row mark-${row.kind} focused` : `log-row mark-${row.kind}`}>
        <Icon name={row.kind === 'trouble' ? 'triangle' : 'dot'} size={12} /> {row.text}
      </div>
    );
  }
  const { line } = row;
  const at = Date.parse(line.at);
  return (
    <button
      type="button"
      tabIndex={-1}
      class={`log-row level-${line.level}${focused ? ' focused' : ''}${isHit ? ' hit' : ''}`}
      aria-expanded={open}
      onClick={onToggle}
    >
      <time dateTime={line.at} title={utc(at)}>
        {clock(at)}
        <span class="log-millis">{clockMillis(at).slice(8)}</span>
      </time>
      <span class="log-level">
        <Icon name={LEVEL_ICON[line.level]} size={11} /> {line.level}
      </span>
      <span class="log-target">{line.target}</span>
      <span class="log-message">{line.message}</span>
      <span class="log-fields">{fieldsText(line.fields)}</span>
    </button>
  );
}
