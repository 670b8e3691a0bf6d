// The configuration in use: what it says, since when, how the last reload went; loading it anew, with the
// difference shown first; and what the proxy thinks of another one.

import { useRef, useState } from 'preact/hooks';
import { call } from '../feed/api';
import type { Answer, Problem } from '../feed/api';
import { useAsked } from '../feed/ask';
import { ordersRefused } from '../feed/store';
import { duration, plural } from '../format';
import * as control from '../wire/control';
import type { Config as ConfigFacts, Reload } from '../wire/types';
import { text } from '../wire/shape';
import { Act } from './actions/Act';
import { Command } from './actions/Command';
import { AttemptView } from './Attempt';
import { Icon } from './Icon';
import { Moment, Since } from './Moment';
import { ProblemBox } from './Notices';
import { SignInHint } from './SignIn';

/** New backends are checked first. */
const RELOAD_TIMEOUT_MS = 125_000;
const EVERY_MS = 5_000;

function askReload(body: object): Promise<Answer<Reload>> {
  return call({ path: '/api/config/reload', method: 'POST', body, decode: control.reload, alsoGood: [422], timeoutMs: RELOAD_TIMEOUT_MS });
}

export function Config() {
  const facts = useAsked('config', () => call({ path: '/api/config', decode: control.config }), EVERY_MS);
  const generation = facts.value?.generation ?? 0;
  const yaml = useAsked(`yaml ${generation}`, () => call({ path: '/api/config?format=yaml', decode: text, isText: true }));
  return (
    <>
      <section class="section" aria-labelledby="config-heading">
        <div class="section-head">
          <h2 id="config-heading">Configuration</h2>
          <span class="spacer" />
          <SignInHint />
        </div>
        {facts.problem !== null && (
          <ProblemBox problem={facts.problem}>
            <button type="button" class="button" onClick={facts.again}>
              Try again
            </button>
          </ProblemBox>
        )}
        <div class="config-grid">
          <div class="panel">
            <h3>In use</h3>
            {facts.value === null ? <div class="bone rows" aria-busy={facts.isBusy} /> : <InUse facts={facts.value} />}
          </div>
          <div class="panel">
            <h3>Reload</h3>
            {facts.value !== null && <ReloadView facts={facts.value} onDone={facts.again} />}
          </div>
        </div>
      </section>
      <section class="section" aria-labelledby="effective-heading">
        <div class="section-head">
          <h2 id="effective-heading">Effective configuration</h2>
          <p class="quiet-text">All of it, every default in its place; secrets are left out</p>
          <span class="spacer" />
          <Command text="bascule config show --running" />
        </div>
        {yaml.problem !== null && <ProblemBox problem={yaml.problem} />}
        <div class="panel flush">
          {yaml.value === null ? (
            yaml.problem === null && <div class="bone rows" aria-busy="true" />
          ) : (
            <pre class="yaml" tabIndex={0} role="region" aria-label="Effective configuration as YAML">
              {yaml.value
                .trimEnd()
                .split('\n')
                .map((line, index) => (
                  <YamlLine key={index} line={line} />
                ))}
            </pre>
          )}
        </div>
      </section>
      <CheckView />
    </>
  );
}

/** Keys and values apart, comments quiet; nothing more is read out of it. */
function YamlLine(props: { line: string }) {
  const found = /^(\s*(?:- )?)([\w.*/-]+:)(.*)$/.exec(props.line);
  if (found === null) return <span class="yaml-line">{props.line}{'\n'}</span>;
  return (
    <span class="yaml-line">
      {found[1]}
      <span class="yaml-key">{found[2]}</span>
      {found[3]}
      {'\n'}
    </span>
  );
}

function InUse(props: { facts: ConfigFacts }) {
  const { facts } = props;
  return (
    <dl class="pairs">
      <div>
        <dt>Generation</dt>
        <dd>
          <strong>{facts.generation}</strong>
          {facts.generation === 1 && <span class="quiet-text"> the one at the start</span>}
        </dd>
      </div>
      <div>
        <dt>In use since</dt>
        <dd>
          <Moment at={facts.loaded_at} />{' '}
          <span class="quiet-text">
            (<Since at={facts.loaded_at} />)
          </span>
        </dd>
      </div>
      <div>
        <dt>From</dt>
        <dd>{facts.files.length === 0 ? 'No file' : facts.files.map((it) => <code key={it} class="file">{it}</code>)}</dd>
      </div>
      <div>
        <dt>Last reload</dt>
        <dd>{facts.last_reload === null ? 'None since the start' : <LastReload reload={facts.last_reload} />}</dd>
      </div>
    </dl>
  );
}

const TRIGGER_WORD: Record<string, string> = { api: 'asked for by an operator', signal: 'asked for by a signal', files: 'the files had changed' };

function LastReload(props: { reload: Reload }) {
  const { reload } = props;
  return (
    <>
      <p>
        <Moment at={reload.at} />, {TRIGGER_WORD[reload.trigger] ?? reload.trigger}, took {duration(reload.took_seconds)}
      </p>
      <AttemptView attempt={reload} />
    </>
  );
}

function ReloadView(props: { facts: ConfigFacts; onDone: () => void }) {
  const { facts } = props;
  const [tried, setTried] = useState<Reload | null>(null);
  const [done, setDone] = useState<Reload | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [busy, setBusy] = useState<'try' | 'load' | null>(null);
  const first = useRef<HTMLDivElement>(null);
  const noFile = facts.files.length === 0 ? 'the configuration is from no file' : null;
  const refused = (busy === null ? null : 'waiting for the answer') ?? ordersRefused.value ?? noFile;

  const go = async (kind: 'try' | 'load'): Promise<void> => {
    setBusy(kind);
    setProblem(null);
    setDone(null);
    const expect = tried === null || kind === 'try' ? {} : { expect: { generation: tried.generation } };
    const answer = await askReload(kind === 'try' ? { dry_run: true } : expect);
    setBusy(null);
    if (!answer.ok) return setProblem(answer.problem);
    setTried(kind === 'try' ? answer.value : null);
    if (kind === 'load') setDone(answer.value);
    first.current?.querySelector('button')?.focus();
    props.onDone();
  };
  const isStale = tried !== null && tried.generation !== facts.generation;
  const canLoad = tried?.result === 'accepted' && !isStale;
  return (
    <div class="reload" ref={first}>
      <div class="actions">
        <Act
          label={busy === 'try' ? 'Looking…' : 'See what would change'}
          icon="search"
          target="if the files were loaded again"
          refused={refused}
          onClick={() => void go('try')}
        />
        {canLoad && (
          <Act
            label={busy === 'load' ? 'Loading…' : 'Load it'}
            icon="refresh"
            target={`: ${plural(tried.changes.length, 'change')}`}
            kind="primary"
            refused={refused}
            onClick={() => void go('load')}
          />
        )}
        {tried !== null && (
          <button type="button" class="button quiet" onClick={() => setTried(null)}>
            Leave it
          </button>
        )}
      </div>
      <Command text={canLoad ? `bascule reload --expect generation=${tried.generation}` : 'bascule reload --dry-run'} />
      <div role="status">
        {problem !== null && (
          <ProblemBox problem={problem}>
            {problem.code === 'changed' && (
              <button type="button" class="button" onClick={() => void go('try')}>
                <Icon name="refresh" size={14} /> Look again
              </button>
            )}
          </ProblemBox>
        )}
        {isStale && <p class="tone-warn outcome">Generation {facts.generation} was loaded meanwhile; look again.</p>}
        {tried !== null && <AttemptView attempt={tried} />}
        {done !== null && <AttemptView attempt={done} />}
        {tried === null && done === null && problem === null && (
          <p class="quiet-text">The files are read and checked, and nothing happens. What would change is shown here first.</p>
        )}
      </div>
    </div>
  );
}

function CheckView() {
  const field = useRef<HTMLTextAreaElement>(null);
  const [found, setFound] = useState<Reload | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [busy, setBusy] = useState(false);
  const check = async (): Promise<void> => {
    const yaml = field.current?.value ?? '';
    if (busy) return;
    if (yaml.trim() === '') return void field.current?.focus();
    setBusy(true);
    const answer = await call({ path: '/api/config/check', method: 'POST', yaml, decode: control.reload, alsoGood: [422], timeoutMs: RELOAD_TIMEOUT_MS });
    setBusy(false);
    setFound(answer.ok ? answer.value : null);
    setProblem(answer.ok ? null : answer.problem);
  };
  /** Puts the cursor where the mistake is. */
  const show = (line: number, column: number): void => {
    const area = field.current;
    if (area === null) return;
    const lines = area.value.split('\n');
    const start = lines.slice(0, line - 1).reduce((sum, it) => sum + it.length + 1, 0) + column - 1;
    area.focus();
    area.setSelectionRange(start, start + Math.max(1, (lines[line - 1]?.length ?? 0) - column + 1));
    area.scrollTop = (line - 5) * 19.5;
  };
  return (
    <section class="section" aria-labelledby="check-heading">
      <div class="section-head">
        <h2 id="check-heading">Check another configuration</h2>
        <p class="quiet-text">It is only looked at, with what this machine has; nothing changes</p>
        <span class="spacer" />
        <Command text="bascule check bascule.yaml" />
      </div>
      <form
        class="panel check-form"
        onSubmit={(event) => {
          event.preventDefault();
          void check();
        }}
      >
        <label class="field">
          <span class="sr-only">Configuration as YAML</span>
          <textarea ref={field} rows={10} spellcheck={false} autocapitalize="off" placeholder={'version: 1\n…'} />
        </label>
        <div class="actions">
          <button type="submit" class="button primary" aria-disabled={busy}>
            {busy ? 'Checking…' : 'Check'}
          </button>
        </div>
        <div role="status">
          {problem !== null && <ProblemBox problem={problem} />}
          {found !== null && <AttemptView attempt={found} onPlace={show} isCheck />}
        </div>
      </form>
    </section>
  );
}
