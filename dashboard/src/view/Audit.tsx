// The audit list: who changed what, from where, and who was not let.

import { useState } from 'preact/hooks';
import { call } from '../feed/api';
import { useAsked } from '../feed/ask';
import { changesOf, isWanted, whatWords, whoWords } from '../feed/trail';
import type { AuditFilter } from '../feed/trail';
import { count, plural } from '../format';
import { param, setParams } from '../route';
import { audit } from '../wire/control';
import type { AuditEntry } from '../wire/types';
import { Command } from './actions/Command';
import { Icon } from './Icon';
import type { IconName } from './Icon';
import { Moment } from './Moment';
import { ProblemBox, Said } from './Notices';

const PAGE = 50;
/** As many as the sidecar answers at once. */
const MOST = 10_000;
const EVERY_MS = 3_000;

const RESULTS: readonly { value: AuditFilter['result']; word: string }[] = [
  { value: 'all', word: 'Everything' },
  { value: 'done', word: 'Done' },
  { value: 'refused', word: 'Refused or failed' },
];

export function Audit() {
  const [limit, setLimit] = useState(PAGE);
  const asked = useAsked(String(limit), () => call({ path: `/api/audit?limit=${limit}`, decode: audit }), EVERY_MS);
  const id = param('id');
  const filter: AuditFilter = {
    result: RESULTS.find((it) => it.value === param('result'))?.value ?? 'all',
    text: param('find') ?? '',
    id: id !== null && /^\d+$/.test(id) ? Number(id) : null,
  };
  const entries = asked.value?.entries ?? null;
  const shown = entries?.filter((it) => isWanted(it, filter)) ?? [];
  const isFiltered = filter.result !== 'all' || filter.text !== '' || filter.id !== null;
  return (
    <section class="section" aria-labelledby="audit-heading">
      <div class="section-head">
        <h2 id="audit-heading">Audit</h2>
        <p class="quiet-text">Every change, and every attempt that was refused, newest first</p>
        <span class="spacer" />
        <Command text="bascule audit -n 50" />
      </div>
      <div class="panel flush">
        <div class="filters">
          <select
            aria-label="Result"
            value={filter.result}
            onChange={(event) => setParams({ result: event.currentTarget.value === 'all' ? null : event.currentTarget.value, id: null })}
          >
            {RESULTS.map((it) => (
              <option key={it.value} value={it.value}>
                {it.word}
              </option>
            ))}
          </select>
          <input
            type="search"
            aria-label="Find in the list"
            placeholder="Who, what, from where"
            value={filter.text}
            onInput={(event) => setParams({ find: event.currentTarget.value, id: null })}
          />
          {filter.id !== null && (
            <button type="button" class="button" onClick={() => setParams({ id: null })}>
              Entry {filter.id} only: show all
            </button>
          )}
          <span class="quiet-text" role="status">
            {entries === null ? '' : isFiltered ? `${count(shown.length)} of ${plural(entries.length, 'entry')}`.replace(/entrys$/, 'entries') : `${count(entries.length)} shown`}
          </span>
        </div>
        {asked.problem !== null && (
          <div class="inset">
            <ProblemBox problem={asked.problem}>
              <button type="button" class="button" onClick={asked.again}>
                Try again
              </button>
            </ProblemBox>
          </div>
        )}
        {entries === null && asked.problem === null && <div class="bone rows" aria-busy="true" />}
        {entries !== null && shown.length === 0 && (
          <p class="nothing">{isFiltered ? 'No entry is like that.' : 'Nobody has changed anything since the proxy started.'}</p>
        )}
        {shown.length > 0 && <Entries entries={shown} />}
        {entries !== null && entries.length >= limit && limit < MOST && (
          <div class="inset">
            <button type="button" class="button" aria-disabled={asked.isBusy} onClick={() => setLimit(Math.min(MOST, limit * 2))}>
              Show older
            </button>
          </div>
        )}
      </div>
    </section>
  );
}

function Entries(props: { entries: readonly AuditEntry[] }) {
  return (
    <table class="audit">
      <thead>
        <tr>
          <th scope="col">When</th>
          <th scope="col">Who</th>
          <th scope="col">What</th>
          <th scope="col">Result</th>
        </tr>
      </thead>
      <tbody>
        {props.entries.map((it) => (
          <Row key={it.id} entry={it} />
        ))}
      </tbody>
    </table>
  );
}

const RESULT_LOOK: Record<AuditEntry['result'], { word: string; tone: string; icon: IconName }> = {
  done: { word: 'Done', tone: 'good', icon: 'check' },
  refused: { word: 'Refused', tone: 'warn', icon: 'triangle' },
  failed: { word: 'Failed', tone: 'bad', icon: 'octagon' },
};

function Row(props: { entry: AuditEntry }) {
  const { entry } = props;
  const look = RESULT_LOOK[entry.result];
  const changes = changesOf(entry);
  return (
    <tr data-audit={entry.id}>
      <td>
        <Moment at={entry.at} /> <span class="quiet-text">#{entry.id}</span>
      </td>
      <td>
        <strong>{whoWords(entry)}</strong>
        <span class="quiet-text from">
          {entry.who.address !== null && <code>{entry.who.address}</code>}
          {entry.who.speaks_for !== null && (
            <>
              {' '}
              for <code>{entry.who.speaks_for}</code>
            </>
          )}
          {entry.who.is_relayed && ' through a listener'}
        </span>
      </td>
      <td>
        {whatWords(entry)}
        {entry.request !== null && <code class="request">{entry.request}</code>}
        {changes.length > 0 && (
          <ul class="differences">
            {changes.map((it) => (
              <li key={it.key}>
                {it.key} <s>{it.before}</s> <Icon name="arrow" size={11} />
                <span class="sr-only"> is now </span> <strong>{it.after}</strong>
              </li>
            ))}
          </ul>
        )}
        {entry.reason !== null && (
          <span class="why">
            <Said text={entry.reason} /> {entry.code !== null && <code class="quiet-text">{entry.code}</code>}
          </span>
        )}
      </td>
      <td>
        <span class={`tag tone-${look.tone}`}>
          <Icon name={look.icon} size={12} /> {look.word}
        </span>
      </td>
    </tr>
  );
}
