// What came, or would come, of loading a configuration: the verdict, every problem, every difference.

import { plural } from '../format';
import { plain } from '../feed/ordering';
import type { Change, ConfigFault, Reload } from '../wire/types';
import { Icon } from './Icon';
import type { IconName } from './Icon';
import { ended, Said } from './Notices';

interface AttemptProps {
  attempt: Reload;
  /** It was pasted, not loaded. */
  isCheck?: boolean;
  /** Shows a place in the text. */
  onPlace?: (line: number, column: number) => void;
}

const CHANGES_SHOWN = 50;

export function AttemptView({ attempt, isCheck, onPlace }: AttemptProps) {
  const look = lookOf(attempt, isCheck === true);
  const waits = attempt.needs_restart;
  return (
    <div class="attempt">
      <p class={`verdict-line tone-${look.tone}`}>
        <Icon name={look.icon} />
        <strong>{look.words}</strong>
      </p>
      {attempt.problems.length > 0 && (
        <ul class="faults">
          {attempt.problems.map((it, index) => (
            <Fault key={index} fault={it} {...(onPlace === undefined ? {} : { onPlace })} />
          ))}
        </ul>
      )}
      {attempt.changes.length > 0 && (
        <ul class="changes">
          {attempt.changes.slice(0, CHANGES_SHOWN).map((it) => (
            <ChangeRow key={it.path} change={it} waits={waits.includes(it.path)} />
          ))}
          {attempt.changes.length > CHANGES_SHOWN && <li class="quiet-text">and {plural(attempt.changes.length - CHANGES_SHOWN, 'more change')}</li>}
        </ul>
      )}
      {waits.length > 0 && <p class="quiet-text">What needs a restart takes effect with the next process: bascule upgrade.</p>}
    </div>
  );
}

function lookOf(attempt: Reload, isCheck: boolean): { words: string; tone: string; icon: IconName } {
  const changes = plural(attempt.changes.length, 'change');
  switch (attempt.result) {
    case 'refused': {
      const errors = attempt.problems.filter((it) => it.severity === 'error').length;
      return { words: `${isCheck ? 'Would be refused' : 'Refused'}: ${plural(errors, 'error')}. What is in use stays.`, tone: 'bad', icon: 'octagon' };
    }
    case 'unchanged':
      return { words: 'Loaded: it says what was in use already. Tokens and certificates were read again.', tone: 'good', icon: 'check' };
    case 'applied':
      return { words: `Loaded: generation ${attempt.generation}, ${changes}.`, tone: 'good', icon: 'check' };
    case 'accepted':
      if (attempt.changes.length > 0) return { words: `Good: ${changes}.`, tone: 'good', icon: 'check' };
      return {
        words: `Good: it says what is in use already.${isCheck ? '' : ' Loading it only reads tokens and certificates again.'}`,
        tone: 'good',
        icon: 'check',
      };
  }
}

function Fault(props: { fault: ConfigFault; onPlace?: (line: number, column: number) => void }) {
  const { fault, onPlace } = props;
  const isError = fault.severity === 'error';
  const place = fault.line === null ? null : `line ${fault.line}${fault.column === null ? '' : `, column ${fault.column}`}`;
  return (
    <li class={`tone-${isError ? 'bad' : 'warn'}`}>
      <Icon name={isError ? 'octagon' : 'triangle'} size={14} />
      <div>
        <p>
          <strong>
            <Said text={fault.message} />
          </strong>
        </p>
        <p class="quiet-text">
          {place !== null &&
            (onPlace === undefined ? (
              place
            ) : (
              <button type="button" class="place" onClick={() => onPlace(fault.line ?? 1, fault.column ?? 1)}>
                {place}
              </button>
            ))}
          {fault.path !== null && (
            <>
              {place !== null && ', '}
              <code>{fault.path}</code>
            </>
          )}{' '}
          <code>{fault.code}</code>
        </p>
        <p>
          To fix: <Said text={ended(fault.remedy)} />
        </p>
      </div>
    </li>
  );
}

const SIGN: Record<Change['kind'], { sign: string; word: string; tone: string }> = {
  added: { sign: '+', word: 'Added', tone: 'good' },
  removed: { sign: '−', word: 'Removed', tone: 'bad' },
  changed: { sign: '~', word: 'Changed', tone: 'moved' },
};

function ChangeRow(props: { change: Change; waits: boolean }) {
  const { change } = props;
  const look = SIGN[change.kind];
  return (
    <li class={`tone-${look.tone}`}>
      <span class="sign" aria-hidden="true">
        {look.sign}
      </span>
      <span class="sr-only">{look.word}: </span>
      <code>{change.path}</code>
      <span class="values">
        {change.kind !== 'added' && <s>{plain(change.before)}</s>}
        {change.kind === 'changed' && (
          <>
            {' '}
            <Icon name="arrow" size={11} />{' '}
          </>
        )}
        {change.kind !== 'removed' && <strong>{plain(change.after)}</strong>}
      </span>
      {props.waits && <span class="tag tone-warn">needs a restart</span>}
    </li>
  );
}
