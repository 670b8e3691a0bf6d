// The weight of a backend: chosen in steps or typed, its share shown first, applied on Enter.

import { useEffect, useId, useState } from 'preact/hooks';
import { commandOf, shareWords, WEIGHT_MAX } from '../../feed/ordering';
import type { Order } from '../../feed/ordering';
import type { Backend, Pool } from '../../wire/types';
import { Act } from './Act';
import { Command } from './Command';

interface WeightProps {
  pool: Pool;
  backend: Backend;
  refused: string | null;
  onOrder: (order: Order) => void;
}

export function Weight({ pool, backend, refused, onOrder }: WeightProps) {
  // Null follows the proxy. A draft stays what it is, whatever others order meanwhile, and goes out with the
  // weight that was seen when it was begun; once it has gone out, with the present one.
  const [draft, setDraft] = useState<{ text: string; seen: number | null } | null>(null);
  const says = useId();
  const text = draft?.text ?? String(backend.weight);
  const begin = (next: string): void => setDraft({ text: next, seen: draft?.seen ?? backend.weight });
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  const isGood = Number.isInteger(value) && value <= Math.max(WEIGHT_MAX, backend.weight);
  const isNew = isGood && value !== backend.weight;
  const reason = refused ?? (!isGood ? `a whole number from 0 to ${WEIGHT_MAX} is needed` : isNew ? null : 'it is the weight already');
  const wanted: Order = { verb: 'weight', weight: isGood ? value : backend.weight, expect: { weight: draft?.seen ?? backend.weight } };
  const step = (by: number) => (): void => begin(String(Math.min(WEIGHT_MAX, Math.max(0, (isGood ? value : backend.weight) + by))));
  const isDone = draft !== null && draft.seen === null && value === backend.weight;
  useEffect(() => {
    if (isDone) setDraft(null);
  }, [isDone]);
  return (
    <form
      class="weight"
      onSubmit={(event) => {
        event.preventDefault();
        if (reason !== null) return;
        onOrder(wanted);
        // Refused, it is still there.
        setDraft({ text, seen: null });
      }}
    >
      <div class="order-what">
        <label for={`${says}-weight`}>Weight</label>
        <span class="stepper">
          <button type="button" class="button icon-only" aria-label={`Less weight for ${backend.name}`} onClick={step(-10)}>
            −
          </button>
          <input
            id={`${says}-weight`}
            inputMode="numeric"
            autocomplete="off"
            value={text}
            aria-label={`Weight of ${backend.name}, 0 to ${WEIGHT_MAX}`}
            aria-describedby={says}
            aria-invalid={!isGood}
            onInput={(event) => begin(event.currentTarget.value.trim())}
            onKeyDown={(event) => {
              if (event.key === 'ArrowUp') step(event.shiftKey ? 10 : 1)();
              else if (event.key === 'ArrowDown') step(event.shiftKey ? -10 : -1)();
              else if (event.key === 'Escape' && draft !== null) setDraft(null);
              else return;
              event.preventDefault();
            }}
          />
          <button type="button" class="button icon-only" aria-label={`More weight for ${backend.name}`} onClick={step(10)}>
            +
          </button>
        </span>
        <Act label="Apply" target={`the weight of ${backend.name}`} refused={reason} onClick={() => {}} submit {...(isNew ? { kind: 'primary' as const } : {})} />
        <span id={says} class="quiet-text" aria-live="polite">
          {!isGood
            ? `A whole number from 0 to ${WEIGHT_MAX}.`
            : isNew
              ? `${shareWords(pool, backend, value)} Now ${backend.weight}; Enter applies.`
              : backend.configured_weight !== backend.weight
                ? `Ordered; the configuration says ${backend.configured_weight}.`
                : 'As configured.'}
        </span>
      </div>
      <Command text={commandOf(pool.name, backend.name, wanted)} />
    </form>
  );
}
