// Who is at this page: shown in the header, told in a dialog, changed by a token.

import { useEffect, useRef, useState } from 'preact/hooks';
import type { Problem } from '../feed/api';
import { isSigningIn, signIn, signOut } from '../feed/session';
import { me, needsSignIn, tick } from '../feed/store';
import { expiry, token } from '../feed/token';
import { span } from '../format';
import type { WhoAmI } from '../wire/types';
import { Command } from './actions/Command';
import { Icon } from './Icon';
import { ProblemBox } from './Notices';
import { useModal } from './modal';

const ROLE_WORD: Record<WhoAmI['role'], string> = { operator: 'Operator', viewer: 'Viewer', none: 'Nobody' };
const ROLE_SAYS: Record<WhoAmI['role'], string> = {
  operator: 'sees everything and may change it',
  viewer: 'sees everything and changes nothing',
  none: 'is shown nothing',
};
const KIND_SAYS: Record<WhoAmI['kind'], string> = {
  token: 'by the token that was pasted here',
  certificate: 'by a client certificate',
  local: 'because the page is asked for from the proxy’s own machine',
  anonymous: 'because nothing was shown',
};

/** The header's word for whoever is here; opens the dialog. */
export function Identity() {
  const who = me.value;
  const word = who === null ? 'Sign in' : token.value === null && who.role !== 'operator' ? 'Sign in' : (who.name ?? ROLE_WORD[who.role]);
  return (
    <button
      type="button"
      class="button quiet identity"
      aria-haspopup="dialog"
      title={who === null ? 'Sign in' : `${who.name ?? 'You'}: ${ROLE_WORD[who.role].toLowerCase()}`}
      onClick={() => (isSigningIn.value = true)}
    >
      <Icon name="person" /> <span class="identity-word">{word}</span>
    </button>
  );
}

/** Beside what only operators may do. */
export function SignInHint() {
  if (!needsSignIn.value) return null;
  return (
    <button type="button" class="button quiet" onClick={() => (isSigningIn.value = true)}>
      <Icon name="person" size={14} /> Sign in
    </button>
  );
}

export function SignIn() {
  return isSigningIn.value ? <SignInDialog /> : null;
}

function SignInDialog() {
  const { dialog, close } = useModal(() => (isSigningIn.value = false));
  const who = me.value;
  const known = token.value !== null && who !== null;
  return (
    <dialog ref={dialog} class="dialog" aria-labelledby="sign-in-title" onClose={() => (isSigningIn.value = false)}>
      {known ? <Signed who={who} onClose={close} /> : <SignInForm who={who} onClose={close} />}
    </dialog>
  );
}

function Signed(props: { who: WhoAmI; onClose: () => void }) {
  const { who } = props;
  return (
    <div class="dialog-body">
      <h2 id="sign-in-title">{who.name ?? ROLE_WORD[who.role]}</h2>
      <Facts who={who} />
      <div class="dialog-buttons">
        <button type="button" class="button" onClick={signOut}>
          Sign out
        </button>
        <button type="button" class="button primary" autofocus onClick={props.onClose}>
          Close
        </button>
      </div>
    </div>
  );
}

function Facts(props: { who: WhoAmI }) {
  const { who } = props;
  return (
    <dl class="pairs">
      <div>
        <dt>You are</dt>
        <dd>
          <strong>{who.name ?? ROLE_WORD[who.role]}</strong>, {KIND_SAYS[who.kind]}
        </dd>
      </div>
      <div>
        <dt>Role</dt>
        <dd>
          <strong>{ROLE_WORD[who.role]}</strong>: {ROLE_SAYS[who.role]}
        </dd>
      </div>
      <div>
        <dt>From</dt>
        <dd>
          <code>{who.address}</code>
        </dd>
      </div>
    </dl>
  );
}

/** A wait that counts down by itself; null when it is over. */
function useWait(): [number | null, (seconds: number) => void] {
  const [until, setUntil] = useState(0);
  const left = (until - tick.value) / 1000;
  return [left > 0 ? left : null, (seconds) => setUntil(Date.now() + seconds * 1000)];
}

function SignInForm(props: { who: WhoAmI | null; onClose: () => void }) {
  const field = useRef<HTMLInputElement>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [busy, setBusy] = useState(false);
  const [wait, startWait] = useWait();
  useEffect(() => field.current?.focus(), []);

  const submit = async (): Promise<void> => {
    const shown = field.current?.value.trim() ?? '';
    if (busy || wait !== null) return;
    if (shown === '') return void field.current?.focus();
    setBusy(true);
    const answer = await signIn(shown);
    setBusy(false);
    if (answer.ok) return props.onClose();
    setProblem(answer.problem);
    if (answer.problem.retryAfter !== undefined) startWait(answer.problem.retryAfter);
    field.current?.select();
  };

  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        void submit();
      }}
    >
      <h2 id="sign-in-title">Sign in</h2>
      {expiry.value !== null && (
        <p class="consequence tone-warn">
          <Icon name="triangle" />
          <span>Your token is not accepted any more ({expiry.value.message}). Paste the one that is.</span>
        </p>
      )}
      <label class="field">
        <span>Token</span>
        <input
          ref={field}
          type="password"
          name="token"
          autocomplete="off"
          spellcheck={false}
          placeholder="Paste it here"
          aria-describedby="sign-in-help"
        />
      </label>
      <p id="sign-in-help" class="quiet-text">
        It is kept in this tab until you sign out or close it, and sent to this proxy only.
      </p>
      {problem !== null && <ProblemBox problem={problem} />}
      {props.who !== null && (
        <p class="quiet-text">
          Without one you are {props.who.role === 'none' ? 'nobody' : `a ${ROLE_WORD[props.who.role].toLowerCase()}`}, {KIND_SAYS[props.who.kind]}
          , from <code>{props.who.address}</code>.
        </p>
      )}
      <details class="command">
        <summary>How to make a token</summary>
        <Command text="bascule token new --out /etc/bascule/token" />
        <p class="quiet-text">It prints the hash to put under admin.auth.tokens, and the file holds the token.</p>
      </details>
      <div class="dialog-buttons">
        <button type="button" class="button" onClick={props.onClose}>
          Cancel
        </button>
        <button type="submit" class="button primary" aria-disabled={busy || wait !== null}>
          {busy ? 'Asking…' : wait !== null ? `Wait ${span(Math.ceil(wait))}` : 'Sign in'}
        </button>
      </div>
    </form>
  );
}
