// A pool of many backends: one row for each, sorted and filtered as chosen; a row opens to the card.

import { Component, Fragment } from 'preact';
import type { ComponentChild } from 'preact';
import { useState } from 'preact/hooks';
import { chosenRows, resorted, tiersOf } from '../feed/rows';
import type { Only, Row, SortKey, TableChoice, TierSummary } from '../feed/rows';
import { p99s } from '../feed/percentile';
import { shares } from '../feed/share';
import { wholeSeries } from '../feed/store';
import { keyOf } from '../feed/key';
import { minuteOf } from '../feed/tally';
import { count, duration, durationOrNone, NONE, plural, ratio } from '../format';
import { param, setParams } from '../route';
import type { Backend, LastCheck, Pool } from '../wire/types';
import { Condition, IntentTag, intentWord } from './Condition';
import { Icon } from './Icon';

const HEADS: readonly { key: SortKey; name: string; class: string }[] = [
  { key: 'name', name: 'Backend', class: 'col-name' },
  { key: 'health', name: 'Health', class: 'col-health' },
  { key: 'tier', name: 'Tier', class: 'col-tier num' },
  { key: 'weight', name: 'Weight', class: 'col-weight num' },
  { key: 'share', name: 'Share of traffic', class: 'col-share' },
  { key: 'in_flight', name: 'In flight', class: 'col-flight num' },
  { key: 'p99', name: 'p99', class: 'col-p99 num' },
  { key: 'errors', name: 'Failures/min', class: 'col-errors num' },
  { key: 'check', name: 'Last check', class: 'col-check' },
];

function choiceOf(): TableChoice {
  const sort = HEADS.find((it) => it.key === param('sort'))?.key ?? null;
  const only = param('only');
  return { sort, isDescending: param('dir') === 'desc', text: param('find') ?? '', only: only === 'trouble' || only === 'serving' ? only : 'all' };
}

interface BackendTableProps {
  pool: Pool;
  card: (backend: Backend, share: number | null) => ComponentChild;
}

export function BackendTable({ pool, card }: BackendTableProps) {
  const [open, setOpen] = useState<string | null>(null);
  const choice = choiceOf();
  const measured = wholeSeries.value === null ? null : shares(wholeSeries.value, pool);
  const rows: Row[] = pool.backends.map((backend) => ({
    backend,
    share: measured === null ? null : (measured.get(backend.name) ?? 0),
    minute: minuteOf(pool.name, backend.name),
    p99: p99s.value?.get(keyOf(pool.name, backend.name)) ?? null,
  }));
  const shown = chosenRows(rows, choice);
  const most = rows.reduce((highest, it) => Math.max(highest, it.share ?? 0), 0);
  const tiers = tiersOf(pool, rows);
  return (
    <div class="panel backends">
      <Tools choice={choice} shown={shown.length} all={rows.length} tiers={tiers} />
      <div class="backends-box" tabIndex={0} role="region" aria-label={`Backends of ${pool.name}`}>
        <table class="backends-table">
          <thead>
            <tr>
              {HEADS.map((head) => (
                <Head key={head.key} head={head} choice={choice} />
              ))}
            </tr>
          </thead>
          <tbody>
            {shown.map((row, index) => (
              <Fragment key={row.backend.name}>
                {choice.sort === null && row.backend.tier !== shown[index - 1]?.backend.tier && <TierRow tier={tiers.find((it) => it.tier === row.backend.tier)} isFirst={row.backend.tier === tiers[0]?.tier} />}
                <TableRow row={row} most={most} isOpen={open === row.backend.name} onToggle={setOpen} />
                {open === row.backend.name && (
                  <tr class="row-card">
                    <td colSpan={HEADS.length}>{card(row.backend, row.share)}</td>
                  </tr>
                )}
              </Fragment>
            ))}
          </tbody>
        </table>
        {shown.length === 0 && <p class="backends-none">None of {plural(rows.length, 'backend')} is as asked for.</p>}
      </div>
    </div>
  );
}

function Tools({ choice, shown, all, tiers }: { choice: TableChoice; shown: number; all: number; tiers: readonly TierSummary[] }) {
  const only: [Only, string][] = [['all', 'All'], ['trouble', 'In trouble'], ['serving', 'Serving']];
  return (
    <div class="backends-tools">
      <label class="log-search">
        <Icon name="search" size={14} />
        <span class="sr-only">Find backends</span>
        <input
          type="search"
          placeholder="Find by name, address or state"
          value={choice.text}
          onInput={(event) => setParams({ find: event.currentTarget.value })}
        />
      </label>
      <fieldset class="segments">
        <legend class="sr-only">Backends shown</legend>
        {only.map(([value, name]) => (
          <label key={value}>
            <input type="radio" name="only" class="sr-only" checked={choice.only === value} onChange={() => setParams({ only: value === 'all' ? null : value })} />
            <span>{name}</span>
          </label>
        ))}
      </fieldset>
      <span class="quiet-text" role="status">
        {shown === all ? plural(all, 'backend') : `${count(shown)} of ${plural(all, 'backend')}`}
      </span>
      <span class="spacer" />
      <ul class="tier-summary">
        {tiers.map((it) => (
          <li key={it.tier} class={it.isActive ? 'tone-good' : ''}>
            Tier {it.tier}: <b>{count(it.eligible)}</b> of {count(it.backends)} eligible
          </li>
        ))}
      </ul>
    </div>
  );
}

function Head({ head, choice }: { head: (typeof HEADS)[number]; choice: TableChoice }) {
  const isMine = choice.sort === head.key;
  const sort = isMine ? (choice.isDescending ? 'descending' : 'ascending') : 'none';
  const onClick = (): void => {
    const next = resorted(choice, head.key);
    setParams({ sort: next.sort, dir: next.isDescending ? 'desc' : null });
  };
  return (
    <th scope="col" class={head.class} aria-sort={sort}>
      <button type="button" onClick={onClick}>
        {head.name}
        <span class="sort-mark" aria-hidden="true">
          {isMine ? (choice.isDescending ? '▼' : '▲') : ''}
        </span>
      </button>
    </th>
  );
}

function TierRow({ tier, isFirst }: { tier: TierSummary | undefined; isFirst: boolean }) {
  if (tier === undefined) return null;
  return (
    <tr class={tier.isActive ? 'row-tier active' : 'row-tier'}>
      <th scope="rowgroup" colSpan={HEADS.length}>
        Tier {tier.tier} <span class="quiet-text">{isFirst ? 'preferred' : `after tier ${tier.tier - 1}`}</span>
        {tier.isActive && <span class="tag tone-good">Serving</span>}
        {tier.share !== null && tier.share > 0 && <span class="quiet-text"> {ratio(Math.round(tier.share * 100) / 100)} of traffic</span>}
      </th>
    </tr>
  );
}

interface TableRowProps {
  row: Row;
  /** The largest share of all, which fills the bar. */
  most: number;
  isOpen: boolean;
  onToggle: (name: string | null) => void;
}

/** Drawn again only when what it says has changed: of many rows, few change each second. */
class TableRow extends Component<TableRowProps> {
  #said = '';

  override shouldComponentUpdate(next: TableRowProps): boolean {
    const before = this.#said;
    this.#said = said(next);
    return next.isOpen !== this.props.isOpen || this.#said !== before;
  }

  override render() {
    const { row, most, isOpen, onToggle } = this.props;
    const { backend, share, minute, p99 } = row;
    const failures = minute?.failures ?? null;
    return (
      <tr class={backend.active ? 'row active' : 'row'} data-backend={backend.name}>
        <th scope="row" class="col-name">
          <button type="button" class="row-open" aria-expanded={isOpen} onClick={() => onToggle(isOpen ? null : backend.name)} data-focus>
            <Icon name="chevron" size={12} /> <span class="row-name">{backend.name}</span>
          </button>
        </th>
        <td class="col-health">
          <Condition state={backend.state} /> <IntentTag backend={backend} />
          {backend.fault !== null && (
            <span class="tag tone-warn">
              <Icon name="bolt" size={12} /> {backend.fault.mode}
            </span>
          )}
        </td>
        <td class="col-tier num">{backend.tier}</td>
        <td class="col-weight num">{count(backend.weight)}</td>
        <td class="col-share">
          <span class="share-cell">
            <span class="share-track">
              <span class="share-bar" style={{ width: `${most > 0 ? (((share ?? 0) / most) * 100).toFixed(0) : 0}%` }} />
            </span>
            <span class="num">{share === null ? NONE : ratio(Math.round(share * 1000) / 1000)}</span>
          </span>
        </td>
        <td class="col-flight num">{count(backend.in_flight)}</td>
        <td class="col-p99 num">{durationOrNone(p99)}</td>
        <td class={failures !== null && failures > 0 ? 'col-errors num tone-bad' : 'col-errors num'}>{failures === null ? NONE : count(failures)}</td>
        <td class="col-check">
          <CheckCell check={backend.last_check} reason={backend.reason} />
        </td>
      </tr>
    );
  }
}

/** All that a row says, in one string. */
function said({ row, most }: TableRowProps): string {
  const { backend: it, share, minute, p99 } = row;
  const width = most > 0 ? (((share ?? 0) / most) * 100).toFixed(0) : 0;
  return `${it.active} ${it.state} ${intentWord(it)} ${it.fault?.mode} ${it.tier} ${it.weight} ${width} ${share === null ? NONE : ratio(Math.round(share * 1000) / 1000)} ${it.in_flight} ${minute?.failures} ${p99} ${checkWord(it.last_check)} ${it.reason}`;
}

function checkWord(check: LastCheck | null): string {
  if (check === null) return 'None yet';
  const word = check.result === 'pass' ? 'Passed' : check.result === 'fail' ? 'Failed' : 'Timed out';
  return `${word} in ${duration(check.duration_seconds)}`;
}

function CheckCell({ check, reason }: { check: LastCheck | null; reason: string | null }) {
  const why = reason ?? (check !== null && check.result !== 'pass' ? check.detail : null);
  return (
    <span class="check-cell" title={why ?? ''}>
      {checkWord(check)}
      {why !== null && <span class="quiet-text"> · {why}</span>}
    </span>
  );
}
