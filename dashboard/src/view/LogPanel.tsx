// The live log: what is looked for, pause, copy and download; the rows themselves are drawn by LogRows.

import { useEffect, useRef, useState } from 'preact/hooks';
import { addShortcuts } from '../keys';
import * as log from '../feed/log';
import { lineCount } from '../feed/loglines';
import { health, pools } from '../feed/store';
import { clock, count, plural } from '../format';
import { copyText, saveFile } from '../save';
import type { LogLevel } from '../wire/types';
import { Icon } from './Icon';
import type { IconName } from './Icon';
import { jump } from './logfocus';
import { LogRows } from './LogRows';
import { UntilHere } from './Moment';

const LEVEL_NAMES: readonly [LogLevel, string][] = [
  ['error', 'Errors only'],
  ['warn', 'Warnings and above'],
  ['info', 'Info and above'],
  ['debug', 'Everything'],
];

interface LogPanelProps {
  heading?: string;
  /** Only lines of this stretch of time, unix ms. */
  from?: number;
  to?: number | null;
  isTall?: boolean;
}

export function LogPanel({ heading = 'Live log', from, to = null, isTall = false }: LogPanelProps) {
  const search = useRef<HTMLInputElement>(null);
  useEffect(log.followLog, []);
  useEffect(() => {
    log.onlyWindow.value = from === undefined ? null : { from, to };
    return () => (log.onlyWindow.value = null);
  }, [from, to]);
  useEffect(
    () =>
      addShortcuts([
        { keys: '/', says: 'Search the log', act: () => search.current?.focus() },
        { keys: ' ', says: 'Pause the log, or follow it again', act: () => (log.paused.value ? log.resume : log.pause)() },
        { keys: 'n', says: 'Next match in the log', act: () => jump(1) },
        { keys: 'N', says: 'Match before', act: () => jump(-1) },
      ]),
    [],
  );
  return (
    <section class="section" aria-labelledby="log-heading">
      <div class="section-head">
        <h2 id="log-heading">{heading}</h2>
        <LogState />
        <span class="spacer" />
        <LogCount />
      </div>
      <div class={`panel log${isTall ? ' tall-log' : ''}${from === undefined ? '' : ' short-log'}`}>
        <div class="log-tools">
          <Choice label="Level" value={log.level.value} among={LEVEL_NAMES} onPick={(level) => log.choose({ level: level as LogLevel })} />
          {pools.value.length > 1 && <Choice label="Pool" value={log.onlyPool.value ?? ''} among={poolNames()} onPick={(pool) => log.choose({ pool, backend: null })} />}
          <Choice label="Backend" value={log.onlyBackend.value ?? ''} among={backendNames()} onPick={(backend) => log.choose({ backend })} />
          <SearchField inputRef={search} />
          <PauseButton />
          <IconButton icon="copy" label="Copy the lines shown" done="Copied" onClick={() => copyText(log.shownText())} />
          <IconButton icon="save" label="Download the lines shown" done="Saved" onClick={() => saveFile(`bascule-log-${stamp()}.jsonl`, 'application/jsonl', log.shownJson())} />
          <IconButton icon="bin" label="Clear" onClick={log.clearLog} />
        </div>
        <LogRows />
      </div>
    </section>
  );
}

/** "20260312T090313Z", as a part of a file's name. */
function stamp(): string {
  return new Date().toISOString().replace(/[-:]|\.\d+/g, '');
}

function poolNames(): [string, string][] {
  return [['', 'All pools'], ...pools.value.map((it): [string, string] => [it.name, it.name])];
}

function backendNames(): [string, string][] {
  const of = log.onlyPool.value;
  const names = new Set(pools.value.filter((it) => of === null || it.name === of).flatMap((it) => it.backends.map((one) => one.name)));
  const chosen = log.onlyBackend.value;
  if (chosen !== null) names.add(chosen);
  return [['', 'All backends'], ...[...names].map((it): [string, string] => [it, it])];
}

interface ChoiceProps {
  label: string;
  value: string;
  among: readonly (readonly [string, string])[];
  onPick: (value: string) => void;
}

function Choice({ label, value, among, onPick }: ChoiceProps) {
  return (
    <label class="choice">
      <span class="sr-only">{label}</span>
      <select value={value} onChange={(event) => onPick(event.currentTarget.value)}>
        {among.map(([it, name]) => (
          <option key={it} value={it}>
            {name}
          </option>
        ))}
      </select>
    </label>
  );
}

function SearchField({ inputRef }: { inputRef: { current: HTMLInputElement | null } }) {
  const problem = log.needleProblem.value;
  const isRegex = log.isRegex.value;
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key === 'Escape') log.choose({ needle: '' });
    else if (event.key === 'Enter') jump(event.shiftKey ? -1 : 1);
  };
  return (
    <div class={problem === null ? 'log-find' : 'log-find wrong'}>
      <label class="log-search">
        <Icon name="search" size={14} />
        <span class="sr-only">Search the log</span>
        <input
          ref={inputRef}
          type="search"
          placeholder={isRegex ? 'Regular expression' : 'Search (press /)'}
          value={log.needle.value}
          aria-invalid={problem !== null}
          aria-describedby="log-matches"
          onInput={(event) => log.choose({ needle: event.currentTarget.value })}
          onKeyDown={onKeyDown}
        />
      </label>
      <span id="log-matches" class={problem === null ? 'log-matches' : 'log-matches tone-bad'} role="status">
        {problem ?? (log.hasNeedle.value ? plural(log.hits.value.length, 'match').replace(/matchs$/, 'matches') : '')}
      </span>
      {log.hasNeedle.value && (
        <>
          <button type="button" class="tool" aria-label="Match before" title="Match before (Shift+Enter)" onClick={() => jump(-1)}>
            <Icon name="up" size={12} />
          </button>
          <button type="button" class="tool" aria-label="Next match" title="Next match (Enter)" onClick={() => jump(1)}>
            <Icon name="down" size={12} />
          </button>
          <button type="button" class="tool" aria-pressed={log.showsAll.value} title="Show lines that do not match, too" onClick={() => log.choose({ showsAll: !log.showsAll.value })}>
            All lines
          </button>
        </>
      )}
      <button type="button" class="tool mono" aria-pressed={isRegex} aria-label="Regular expression" title="Regular expression" onClick={() => log.choose({ isRegex: !isRegex })}>
        .*
      </button>
    </div>
  );
}

interface IconButtonProps {
  icon: IconName;
  label: string;
  /** Said for a moment when it has been done. */
  done?: string;
  onClick: () => unknown;
}

const DONE_MS = 1_500;

function IconButton({ icon, label, done, onClick }: IconButtonProps) {
  const [said, setSaid] = useState(false);
  const act = async (): Promise<void> => {
    const isDone = await onClick();
    if (done === undefined || isDone === false) return;
    setSaid(true);
    window.setTimeout(() => setSaid(false), DONE_MS);
  };
  return (
    <button type="button" class="button quiet icon-only" aria-label={label} title={label} onClick={() => void act()}>
      <Icon name={said ? 'check' : icon} size={15} />
      <span class="sr-only" role="status">
        {said ? done : ''}
      </span>
    </button>
  );
}

function PauseButton() {
  if (!log.paused.value) {
    return (
      <button type="button" class="button" onClick={log.pause}>
        <Icon name="pause" size={12} /> Pause
      </button>
    );
  }
  const fresh = log.unseen.value;
  return (
    <button type="button" class="button primary" onClick={log.resume}>
      <Icon name="play" size={12} /> Resume{fresh > 0 && ` (${count(fresh)} new)`}
    </button>
  );
}

/** Within this after it has started a process has written its first lines. */
const STARTING_MS = 2_000;

function LogCount() {
  const shown = lineCount(log.rows.value);
  const window = log.onlyWindow.value;
  const oldest = log.oldest.value;
  // A log that begins where the process did has lost nothing.
  const started = Date.parse(health.value?.value.started_at ?? '');
  const isGone = window !== null && oldest !== null && oldest > window.from && !(oldest - started < STARTING_MS);
  return (
    <span class="quiet-text" data-testid="log-count">
      {plural(shown, 'line')}
      {shown !== log.kept.value && ` of ${count(log.kept.value)}`}
      {isGone && `; lines before ${clock(oldest)} are no longer kept`}
    </span>
  );
}

function LogState() {
  const state = log.logConnection.value;
  if (state.kind === 'open') return null;
  if (state.kind === 'connecting') return <span class="tag tone-off">Connecting</span>;
  return (
    <span class="tag tone-bad">
      <Icon name="plug" size={12} /> Not connected, next attempt in <UntilHere at={state.retryAt} />
    </span>
  );
}
