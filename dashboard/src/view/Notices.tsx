// Bars and boxes that say what is wrong and what to do: no connection, a restart, a failed call.

import type { ComponentChildren } from 'preact';
import type { Problem } from '../feed/api';
import { retryNow } from '../feed/feed';
import { isSigningIn } from '../feed/session';
import { connection, health, isForbidden, notReady, restartedAt } from '../feed/store';
import { expiry } from '../feed/token';
import { isOutdated } from '../feed/version';
import { clock, plural } from '../format';
import { FaultBanners } from './actions/FaultBanner';
import { Icon } from './Icon';
import { Moment, SinceHere, UntilHere } from './Moment';
import { auditHref } from '../route';

export function Notices() {
  return (
    <>
      <Disconnected />
      <Forbidden />
      <Expired />
      <FaultBanners />
      <NotReady />
      <Restarted />
      <Outdated />
    </>
  );
}

function Disconnected() {
  const state = connection.value;
  if (state.kind !== 'lost' || isForbidden.value) return null;
  const at = health.value?.at;
  return (
    <section class="notice tone-bad" aria-label="Connection" data-testid="disconnected">
      <Icon name="plug" size={20} />
      <div class="notice-words">
        <p>
          <strong>
            Not connected for <SinceHere at={state.since} />.
          </strong>{' '}
          {at === undefined ? 'Nothing is known yet.' : `The values below are from ${clock(at)}.`}{' '}
          {state.trying ? (
            'Trying now…'
          ) : (
            <>
              Next attempt in <UntilHere at={state.retryAt} />.
            </>
          )}
        </p>
        <p class="notice-detail">
          <code>{state.problem.what}</code>: {state.problem.message}. To fix: {state.problem.remedy}.
        </p>
      </div>
      <button type="button" class="button" onClick={retryNow}>
        <Icon name="refresh" size={14} /> Retry now
      </button>
    </section>
  );
}

/** The proxy answers, but not to whoever shows it nothing. */
function Forbidden() {
  const state = connection.value;
  if (state.kind !== 'lost' || !isForbidden.value) return null;
  return (
    <section class="notice tone-warn" aria-label="Not allowed" data-testid="forbidden">
      <Icon name="person" size={20} />
      <div class="notice-words">
        <p>
          <strong>The proxy shows nothing here until you sign in.</strong>
        </p>
        <p class="notice-detail">
          <code>{state.problem.what}</code>: <Said text={state.problem.message} />.
        </p>
      </div>
      <button type="button" class="button primary" onClick={() => (isSigningIn.value = true)}>
        Sign in
      </button>
    </section>
  );
}

/** The token was good once. What is on the page stays. */
function Expired() {
  const gone = expiry.value;
  if (gone === null || isForbidden.value) return null;
  return (
    <section class="notice tone-warn" aria-label="Signed out" data-testid="expired">
      <Icon name="person" size={18} />
      <div class="notice-words">
        <p>
          <strong>You were signed out at {clock(gone.at)}:</strong> the proxy does not know your token any more.
        </p>
      </div>
      <button type="button" class="button" onClick={() => (isSigningIn.value = true)}>
        Sign in
      </button>
      <button type="button" class="button quiet" onClick={() => (expiry.value = null)}>
        Dismiss
      </button>
    </section>
  );
}

/** The process is about to end, or an operator wants no traffic here. */
function NotReady() {
  const process = notReady.value;
  if (process === null) return null;
  const word = process.state === 'draining' ? 'This process is about to end' : process.state === 'upgrading' ? 'This process is being replaced' : 'Not ready';
  return (
    <section class="notice tone-moved" aria-label="Process" data-testid="not-ready">
      <Icon name="clock" size={18} />
      <div class="notice-words">
        <p>
          <strong>{word}:</strong> {process.reason ?? 'load balancers in front are told to send traffic elsewhere'}.
        </p>
        <p class="notice-detail">{plural(process.requests_in_flight, 'request')} in flight.</p>
      </div>
    </section>
  );
}

function Restarted() {
  const at = restartedAt.value;
  if (at === null) return null;
  return (
    <section class="notice tone-moved" aria-label="Restart" data-testid="restarted">
      <Icon name="refresh" size={18} />
      <div class="notice-words">
        <p>
          <strong>
            The proxy restarted at <Moment at={at} />.
          </strong>{' '}
          Counters start over from there.
        </p>
      </div>
      <button
        type="button"
        class="button quiet"
        onClick={() => {
          restartedAt.value = null;
        }}
      >
        Dismiss
      </button>
    </section>
  );
}

/** This page was made by another version than the server that sent it has now. */
function Outdated() {
  if (!isOutdated.value) return null;
  return (
    <section class="notice tone-moved" aria-label="New version" data-testid="outdated">
      <Icon name="refresh" size={18} />
      <div class="notice-words">
        <p>
          <strong>The dashboard was updated.</strong> Until it is loaded again, this page is the old one.
        </p>
      </div>
      <button type="button" class="button" onClick={() => location.reload()}>
        Reload
      </button>
    </section>
  );
}

/** The sidecar's messages begin in lower case, sentences do not. */
function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** Remedies are phrases; some ask, and end with their own mark. */
export function ended(text: string): string {
  return text.endsWith('?') ? text : `${text}.`;
}

/** The sidecar's words, with what it quotes set as code. */
export function Said(props: { text: string }) {
  return <>{props.text.split('`').map((part, index) => (index % 2 === 1 ? <code key={index}>{part}</code> : part))}</>;
}

/** One failed call, shown where its answer would have been. */
export function ProblemBox(props: { problem: Problem; children?: ComponentChildren }) {
  const { problem } = props;
  return (
    <div class="problem tone-bad" role="group" aria-label="Problem">
      <Icon name="triangle" />
      <div>
        <p>
          <strong>
            <Said text={capital(problem.message)} />.
          </strong>{' '}
          To fix: <Said text={ended(problem.remedy)} />
        </p>
        <p class="quiet-text">
          <code>{problem.what}</code>
          {problem.status !== null && ` answered ${problem.status}`}
          {problem.code !== undefined && (
            <>
              {' '}
              <code>{problem.code}</code>
            </>
          )}
          {problem.auditId !== undefined && (
            <>
              {' · '}
              <a href={auditHref(problem.auditId)}>entry {problem.auditId} of the audit list</a>
            </>
          )}
          {problem.requestId !== undefined && (
            <>
              {' · request '}
              <code>{problem.requestId}</code>
            </>
          )}
        </p>
        {props.children}
      </div>
    </div>
  );
}
