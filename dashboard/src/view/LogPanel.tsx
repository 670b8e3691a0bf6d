// The live log: level, text, pause; the rows themselves are drawn by LogRows.

import { useEffect, useRef } from 'preact/hooks';
import { clearLog, followLog, kept, level, logConnection, needle, onlyPool, pause, paused, resume, rows, unseen } from '../feed/log';
import { lineCount } from '../feed/loglines';
import { pool, pools } from '../feed/store';
import { count, plural } from '../format';
import type { LogLevel } from '../wire/types';
import { Icon } from './Icon';
import { LogRows } from './LogRows';
import { UntilHere } from './Moment';

const LEVELS: readonly [LogLevel, string][] = [
  ['error', 'Errors only'],
  ['warn', 'Warnings and above'],
  ['info', 'Info and above'],
  ['debug', 'Everything'],
];

export function LogPanel() {
  const search = useRef<HTMLInputElement>(null);
  useEffect(followLog, []);
  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      if (event.key !== '/' || event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
      event.preventDefault();
      search.current?.focus();
    };
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, []);
  return (
    <section class="section" aria-labelledby="log-heading">
      <div class="section-head">
        <h2 id="log-heading">Live log</h2>
        <LogState />
        <span class="spacer" />
        <LogCount />
      </div>
      <div class="panel log">
        <div class="log-tools">
          <label class="choice">
            <span class="sr-only">Level</span>
            <select value={level.value} onChange={(event) => (level.value = event.currentTarget.value as LogLevel)}>
              {LEVELS.map(([value, name]) => (
                <option key={value} value={value}>
                  {name}
                </option>
              ))}
            </select>
          </label>
          <label class="log-search">
            <Icon name="search" size={14} />
            <span class="sr-only">Filter by text</span>
            <input
              ref={search}
              type="search"
              placeholder="Filter by text (press /)"
              value={needle.value}
              onInput={(event) => (needle.value = event.currentTarget.value)}
              onKeyDown={(event) => {
                if (event.key === 'Escape') needle.value = '';
              }}
            />
          </label>
          {pools.value.length > 1 && <OnlyPool />}
          <PauseButton />
          <button type="button" class="button quiet" onClick={clearLog}>
            Clear
          </button>
        </div>
        <LogRows />
      </div>
    </section>
  );
}

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && /^(INPUT|SELECT|TEXTAREA)$/.test(target.tagName);
}

function OnlyPool() {
  return (
    <label class="check">
      <input
        type="checkbox"
        checked={onlyPool.value !== null}
        onChange={(event) => (onlyPool.value = event.currentTarget.checked ? (pool.value?.name ?? null) : null)}
      />
      Only this pool
    </label>
  );
}

function PauseButton() {
  if (!paused.value) {
    return (
      <button type="button" class="button" onClick={pause}>
        <Icon name="pause" size={12} /> Pause
      </button>
    );
  }
  return (
    <button type="button" class="button primary" onClick={resume}>
      <Icon name="play" size={12} /> Resume{unseen.value > 0 && ` (${count(unseen.value)} new)`}
    </button>
  );
}

function LogCount() {
  const shown = lineCount(rows.value);
  const filtered = needle.value !== '' || level.value !== 'debug';
  return (
    <span class="quiet-text" data-testid="log-count">
      {plural(shown, 'line')}
      {filtered && shown !== kept.value && ` of ${count(kept.value)}`}
    </span>
  );
}

function LogState() {
  const state = logConnection.value;
  if (state.kind === 'open') return null;
  if (state.kind === 'connecting') return <span class="tag tone-off">Connecting</span>;
  return (
    <span class="tag tone-bad">
      <Icon name="plug" size={12} /> Not connected, next attempt in <UntilHere at={state.retryAt} />
    </span>
  );
}
