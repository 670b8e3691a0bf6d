// The page: one column of answers, from "are users affected?" down to "why?".

import { visit } from './feed/session';
import { connection, health, isForbidden, pool } from './feed/store';
import { route } from './route';
import { About } from './view/About';
import { Audit } from './view/Audit';
import { Config } from './view/Config';
import { Header } from './view/Header';
import { Help } from './view/Help';
import { IncidentPage } from './view/IncidentPage';
import { Icon } from './view/Icon';
import { Incidents } from './view/Incidents';
import { LogPanel } from './view/LogPanel';
import { Moment } from './view/Moment';
import { Notices } from './view/Notices';
import { PoolView } from './view/PoolView';
import { History } from './view/History';
import { SignIn } from './view/SignIn';
import { Announcer, Verdict } from './view/Verdict';

export function App() {
  const at = route.value;
  const old = connection.value.kind === 'lost';
  return (
    <>
      <a class="skip" href="#main" onClick={skip}>
        Skip to the pool
      </a>
      <Header />
      <Announcer />
      <Notices />
      <div class="top">
        <Verdict />
      </div>
      <main key={visit.value} id="main" tabIndex={-1} class={old ? 'old' : ''}>
        {old && health.value === null ? (
          !isForbidden.value && (
            <>
              <NothingYet />
              <LogPanel />
            </>
          )
        ) : at.page === 'incident' ? (
          <IncidentPage id={at.id} />
        ) : at.page === 'audit' ? (
          <Audit />
        ) : at.page === 'config' ? (
          <Config />
        ) : at.page === 'about' ? (
          <About />
        ) : at.page === 'logs' ? (
          <LogPanel isTall />
        ) : (
          <>
            {/* Anew for each pool: what was typed or asked about one is no order about another. */}
            <PoolView key={pool.value?.name} />
            {pool.value !== null && <History heading="What happened" pool={pool.value.name} />}
            <Incidents />
            <LogPanel />
          </>
        )}
      </main>
      <Footer />
      <Help />
      <SignIn />
    </>
  );
}

/** Nothing was ever heard, so there is nothing to lay out. */
function NothingYet() {
  return (
    <section class="empty" aria-label="Nothing known yet">
      <Icon name="inbox" size={28} />
      <div>
        <p>
          <strong>Pools, incidents and charts appear here as soon as the proxy answers</strong>
        </p>
        <p class="quiet-text">
          To see one at work: <code>bascule demo</code>
        </p>
      </div>
    </section>
  );
}

/** The hash is the route, so the skip link moves focus itself. */
function skip(event: Event): void {
  event.preventDefault();
  document.getElementById('main')?.focus();
}

function Footer() {
  const value = health.value?.value;
  return (
    <footer class="footer">
      <span>Bascule {value?.version}</span>
      {value !== undefined && (
        <span>
          started <Moment at={value.started_at} />
        </span>
      )}
      <span>Times are local; hover for UTC</span>
    </footer>
  );
}
