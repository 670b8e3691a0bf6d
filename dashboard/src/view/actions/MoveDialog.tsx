// Asks before a pool's traffic is moved: from where, to where, and what then holds. What was read is what
// is ordered: if another backend serves by then, the proxy refuses, and the dialog says what has changed.

import { useEffect, useRef, useState } from 'preact/hooks';
import type { Problem } from '../../feed/api';
import { move } from '../../feed/orders';
import { canForce, differences, laterTiers, moveCommand, tierFacts } from '../../feed/ordering';
import type { Move, TierFacts } from '../../feed/ordering';
import { ordersRefused } from '../../feed/store';
import { names, rate } from '../../format';
import type { Pool } from '../../wire/types';
import { Icon } from '../Icon';
import { useModal } from '../modal';
import { ProblemBox } from '../Notices';
import { Changed } from './Changed';
import { Command } from './Command';

interface MoveDialogProps {
  pool: Pool;
  verb: Move['verb'];
  onClose: () => void;
}

export function MoveDialog({ pool, verb, onClose }: MoveDialogProps) {
  const { dialog, close } = useModal(onClose);
  const cancel = useRef<HTMLButtonElement>(null);
  /** The pool as it was when this was read. */
  const [seen, setSeen] = useState(pool);
  const [to, setTo] = useState<number | null>(() => firstAble(laterTiers(pool)));
  const [problem, setProblem] = useState<Problem | null>(null);
  const [busy, setBusy] = useState(false);
  useEffect(() => cancel.current?.focus(), []);

  const wanted: Move = { verb, to: verb === 'failover' ? to : seen.returnable_tier, active: seen.active_backend };
  const isChanged = problem?.code === 'changed';
  const target = wanted.to === null ? null : tierFacts(seen, wanted.to);
  const nobody = target !== null && target.eligible.length === 0;
  const refused = ordersRefused.value ?? (nobody ? `nothing of tier ${target.number} may be picked` : null);
  const submit = async (asked: Move): Promise<void> => {
    if (refused !== null || busy || isChanged) return;
    setBusy(true);
    const answer = await move(pool.name, asked);
    setBusy(false);
    if (answer.ok) close();
    else setProblem(answer.problem);
  };
  const look = (): void => {
    setSeen(pool);
    setTo(firstAble(laterTiers(pool)));
    setProblem(null);
    cancel.current?.focus();
  };
  const word = verb === 'failover' ? 'Fail over' : 'Fail back';

  return (
    <dialog ref={dialog} class="dialog" aria-labelledby="move-title" aria-describedby="move-consequence" onClose={onClose}>
      <form
        method="dialog"
        onSubmit={(event) => {
          event.preventDefault();
          void submit(wanted);
        }}
      >
        <h2 id="move-title">
          {word} {pool.name}?
        </h2>
        {verb === 'failover' && <Targets tiers={laterTiers(seen)} picked={to} onPick={setTo} />}
        <p id="move-consequence" class={nobody ? 'consequence tone-bad' : 'consequence tone-moved'}>
          <Icon name={nobody ? 'octagon' : 'swap'} />
          <span>
            {nobody
              ? `Nothing of tier ${target.number} may be picked now: bring one of its backends back first.`
              : consequenceOf(seen, wanted)}
          </span>
        </p>
        <Command text={moveCommand(pool.name, wanted)} />
        {problem !== null && (
          <ProblemBox problem={problem}>
            {isChanged && (
              <>
                <Changed all={differences({ active: wanted.active }, problem.present)} />
                <button type="button" class="button" onClick={look}>
                  <Icon name="refresh" size={14} /> Look again
                </button>
              </>
            )}
            {canForce(problem) && (
              <button type="button" class="button danger" onClick={() => void submit({ ...wanted, force: true })}>
                {word} anyway
              </button>
            )}
          </ProblemBox>
        )}
        {refused !== null && !nobody && <p>Cannot be sent: {refused}.</p>}
        <div class="dialog-buttons">
          <button type="button" class="button" ref={cancel} onClick={close}>
            Cancel
          </button>
          <button type="submit" class="button primary" aria-disabled={busy || refused !== null || isChanged}>
            {busy ? 'Moving…' : `${word} ${pool.name}`}
          </button>
        </div>
      </form>
    </dialog>
  );
}

function firstAble(tiers: readonly TierFacts[]): number | null {
  return (tiers.find((it) => it.eligible.length > 0) ?? tiers[0])?.number ?? null;
}

function Targets(props: { tiers: readonly TierFacts[]; picked: number | null; onPick: (tier: number) => void }) {
  return (
    <fieldset class="modes">
      <legend>To which tier</legend>
      {props.tiers.map((it) => (
        <label key={it.number}>
          <input type="radio" name="tier" value={it.number} checked={props.picked === it.number} onChange={() => props.onPick(it.number)} />
          <span>
            <strong>Tier {it.number}</strong>{' '}
            <span class="quiet-text">
              {names(it.members.map((member) => member.name))}; {it.eligible.length} of {it.members.length} eligible
            </span>
          </span>
        </label>
      ))}
    </fieldset>
  );
}

function consequenceOf(pool: Pool, move: Move): string {
  const from = pool.active_backend === null ? 'nobody' : `${pool.active_backend} (tier ${pool.active_tier})`;
  const much = `${rate(pool.last_minute.requests_per_second)}/s`;
  if (move.verb === 'failback') {
    const heirs = move.to === null ? 'a preferred tier' : `${names(tierFacts(pool, move.to).eligible.map((it) => it.name))} (tier ${move.to})`;
    return `Traffic of ${pool.name} (${much}) begins to return from ${from} to ${heirs}, without waiting any longer. Requests in flight finish where they are.`;
  }
  const heirs = move.to === null ? 'the next tier' : `${names(tierFacts(pool, move.to).eligible.map((it) => it.name))} (tier ${move.to})`;
  return `All traffic of ${pool.name} (${much}) moves at once from ${from} to ${heirs}, and stays there until you fail back. Requests in flight finish where they are.`;
}
