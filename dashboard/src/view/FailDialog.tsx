// Asks before a backend is failed: how, for how long, and what will happen. Focus starts on Cancel.

import { useEffect, useRef, useState } from 'preact/hooks';
import type { Problem } from '../feed/api';
import { consequence, FAIL_MODES, failRequest } from '../feed/failing';
import type { FailChoice } from '../feed/failing';
import { fail } from '../feed/feed';
import { faultCommand } from '../feed/ordering';
import { actionsRefused } from '../feed/store';
import type { Backend, Pool } from '../wire/types';
import { Command } from './actions/Command';
import { Icon } from './Icon';
import { useModal } from './modal';
import { ProblemBox } from './Notices';

interface FailDialogProps {
  pool: Pool;
  backend: Backend;
  onClose: () => void;
}

const LENGTHS = ['10s', '30s', '2m', '10m'] as const;
const SCOPES = ['all', 'traffic', 'checks'] as const;
const PERCENTS = [100, 50, 10, 1] as const;
const STATUSES = [503, 500, 502, 429] as const;
const DELAYS = ['1s', '3s', '10s'] as const;

export function FailDialog({ pool, backend, onClose }: FailDialogProps) {
  const { dialog, close } = useModal(onClose);
  const cancel = useRef<HTMLButtonElement>(null);
  const [choice, setChoice] = useState<FailChoice>({ mode: 'crash', length: '30s', scope: 'all', percent: 100, delay: '3s', status: 503 });
  const [problem, setProblem] = useState<Problem | null>(null);
  const [busy, setBusy] = useState(false);

  useEffect(() => cancel.current?.focus(), []);

  const request = failRequest(pool.name, backend.name, choice);
  const refused = actionsRefused.value;
  const submit = async (): Promise<void> => {
    if (refused !== null || busy) return;
    setBusy(true);
    const answer = await fail(request);
    setBusy(false);
    if (answer.ok) close();
    else setProblem(answer.problem);
  };

  return (
    <dialog ref={dialog} class="dialog" aria-labelledby="fail-title" aria-describedby="fail-consequence" onClose={onClose}>
      <form
        method="dialog"
        onSubmit={(event) => {
          event.preventDefault();
          void submit();
        }}
      >
        <h2 id="fail-title">
          Fail {backend.name} of pool {pool.name}?
        </h2>
        <fieldset class="modes">
          <legend>How it fails</legend>
          {FAIL_MODES.map((it) => (
            <label key={it.mode}>
              <input
                type="radio"
                name="mode"
                value={it.mode}
                checked={choice.mode === it.mode}
                onChange={() => setChoice({ ...choice, mode: it.mode })}
              />
              <span>
                <strong>{it.word}</strong> <span class="quiet-text">{it.says}</span>
              </span>
            </label>
          ))}
        </fieldset>
        <div class="dialog-row">
          {choice.mode !== 'crash' && (
            <>
              <Choice label="For" value={choice.length} among={LENGTHS} onPick={(length) => setChoice({ ...choice, length })} />
              <Choice label="Scope" value={choice.scope} among={SCOPES} onPick={(scope) => setChoice({ ...choice, scope })} />
              <Choice label="Percent" value={choice.percent} among={PERCENTS} onPick={(percent) => setChoice({ ...choice, percent })} />
            </>
          )}
          {choice.mode === 'error' && (
            <Choice label="Status" value={choice.status} among={STATUSES} onPick={(status) => setChoice({ ...choice, status })} />
          )}
          {choice.mode === 'slow' && (
            <Choice label="Delay" value={choice.delay} among={DELAYS} onPick={(delay) => setChoice({ ...choice, delay })} />
          )}
        </div>
        <Consequence pool={pool} backend={backend} choice={choice} />
        <Command text={faultCommand(request)} />
        {problem !== null && <ProblemBox problem={problem} />}
        {refused !== null && <p class="tone-bad">Cannot be sent: {refused}.</p>}
        <div class="dialog-buttons">
          <button type="button" class="button" ref={cancel} onClick={close}>
            Cancel
          </button>
          <button type="submit" class="button danger" aria-disabled={busy || refused !== null}>
            <Icon name="bolt" size={14} /> {busy ? 'Failing…' : `Fail ${backend.name}`}
          </button>
        </div>
      </form>
    </dialog>
  );
}

function Consequence(props: { pool: Pool; backend: Backend; choice: FailChoice }) {
  const said = consequence(props.pool, props.backend, props.choice);
  return (
    <p id="fail-consequence" class={said.costly ? 'consequence tone-bad' : 'consequence tone-moved'}>
      <Icon name={said.costly ? 'octagon' : 'swap'} />
      <span>{said.text}</span>
    </p>
  );
}

interface ChoiceProps<T> {
  label: string;
  value: T;
  among: readonly T[];
  onPick: (value: T) => void;
}

function Choice<T extends string | number>({ label, value, among, onPick }: ChoiceProps<T>) {
  const pick = (index: number): void => {
    const picked = among[index];
    if (picked !== undefined) onPick(picked);
  };
  return (
    <label class="choice">
      <span>{label}</span>
      <select value={value} onChange={(event) => pick(event.currentTarget.selectedIndex)}>
        {among.map((it) => (
          <option key={it} value={it}>
            {String(it).replace(/(\d)([a-z])/, '$1 $2')}
          </option>
        ))}
      </select>
    </label>
  );
}
