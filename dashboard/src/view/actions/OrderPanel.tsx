// Everything that can be ordered of one backend, each with what it means and the command that does the same.

import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import { commandOf, EJECT_LENGTHS, saysOf, VERB_WORDS } from '../../feed/ordering';
import type { Order, Verb } from '../../feed/ordering';
import { actionsRefused, needsSignIn, ordersRefused } from '../../feed/store';
import type { Backend, Intent, Pool } from '../../wire/types';
import { SignInHint } from '../SignIn';
import { Act } from './Act';
import { Command } from './Command';
import { Weight } from './Weight';

interface OrderPanelProps {
  pool: Pool;
  backend: Backend;
  /** Why nothing can be ordered at this moment, beside what holds for all. */
  busy: string | null;
  onOrder: (order: Order) => void;
}

const TURNS: Record<Intent, readonly Verb[]> = {
  enabled: ['drain', 'disable'],
  draining: ['undrain', 'disable'],
  disabled: ['enable'],
};

export function OrderPanel({ pool, backend, busy, onOrder }: OrderPanelProps) {
  const [length, setLength] = useState<string>(EJECT_LENGTHS[0]);
  const refused = busy ?? ordersRefused.value;
  const { intent } = backend;
  const isEjected = backend.state === 'ejected' || backend.ejected_by_operator;
  const eject: Order = { verb: 'eject', length };
  const nothingWrong = backend.fault === null && backend.state === 'up' ? `${backend.name} has nothing to recover from` : null;
  const row = (order: Order, reason: string | null, more?: ComponentChildren) => (
    <Row key={order.verb} pool={pool} backend={backend} order={order} refused={reason} onOrder={onOrder}>
      {more}
    </Row>
  );
  return (
    <div class="order-panel">
      {needsSignIn.value && (
        <p class="needs">
          <span>Needs an operator.</span> <SignInHint />
        </p>
      )}
      <Weight pool={pool} backend={backend} refused={refused} onOrder={onOrder} />
      <ul class="orders">
        {TURNS[intent].map((verb) => row({ verb, expect: { intent } }, refused))}
        {isEjected
          ? row({ verb: 'readmit' }, refused)
          : row(eject, refused, <EjectLength value={length} onPick={setLength} />)}
        {row({ verb: 'recover' }, busy ?? actionsRefused.value ?? nothingWrong)}
      </ul>
    </div>
  );
}

interface RowProps {
  pool: Pool;
  backend: Backend;
  order: Order;
  refused: string | null;
  onOrder: (order: Order) => void;
  children?: ComponentChildren;
}

function Row({ pool, backend, order, refused, onOrder, children }: RowProps) {
  return (
    <li data-order={order.verb}>
      <div class="order-what">
        <Act label={VERB_WORDS[order.verb].button} target={`${backend.name} as listed`} refused={refused} onClick={() => onOrder(order)} />
        {children}
        <span class="quiet-text">{saysOf(order.verb, backend)}</span>
      </div>
      <Command text={commandOf(pool.name, backend.name, order)} />
    </li>
  );
}

function EjectLength(props: { value: string; onPick: (length: string) => void }) {
  return (
    <label class="choice">
      <span>for</span>
      <select value={props.value} onChange={(event) => props.onPick(event.currentTarget.value)}>
        {EJECT_LENGTHS.map((it) => (
          <option key={it} value={it}>
            {it.replace(/([a-z])/, ' $1')}
          </option>
        ))}
      </select>
    </label>
  );
}
