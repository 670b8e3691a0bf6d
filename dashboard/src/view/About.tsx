// What runs here: the program, its process, and the page itself.

import { call } from '../feed/api';
import { useAsked } from '../feed/ask';
import { health, me } from '../feed/store';
import { count, plural } from '../format';
import * as control from '../wire/control';
import type { Process, WhoAmI } from '../wire/types';
import { Command } from './actions/Command';
import { Moment, Since } from './Moment';
import { ProblemBox } from './Notices';

const EVERY_MS = 2_000;

const STATE_WORD: Record<Process['state'], string> = {
  serving: 'Serving', upgrading: 'Being replaced by a new process', draining: 'About to end',
};

const ROLE_SAYS: Record<WhoAmI['role'], string> = { operator: 'an operator', viewer: 'a viewer', none: 'nobody in particular' };

export function About() {
  const asked = useAsked('process', () => call({ path: '/api/process', decode: control.process }), EVERY_MS);
  const who = me.value;
  return (
    <section class="section" aria-labelledby="about-heading">
      <div class="section-head">
        <h2 id="about-heading">About</h2>
        <span class="spacer" />
        <Command text="bascule version" />
      </div>
      {asked.problem !== null && (
        <ProblemBox problem={asked.problem}>
          <button type="button" class="button" onClick={asked.again}>
            Try again
          </button>
        </ProblemBox>
      )}
      <div class="config-grid">
        <div class="panel">
          <h3>Process</h3>
          {asked.value === null ? <div class="bone rows" aria-busy={asked.isBusy} /> : <Facts facts={asked.value} />}
        </div>
        <div class="panel">
          <h3>You and this page</h3>
          <dl class="pairs">
            <Pair name="You are">
              {who === null ? 'not known yet' : `${who.name === null ? '' : `${who.name}, `}${ROLE_SAYS[who.role]}, from ${who.address}`}
            </Pair>
            <Pair name="Fault injection">{health.value?.value.fault_injection ? 'Allowed' : 'Off: set admin.fault_injection: true to allow it'}</Pair>
            <Pair name="The page asks">only {location.host}, nobody else</Pair>
            <Pair name="The API">
              described by <code>bascule</code>’s OpenAPI document, <code>GET{'\u00a0'}/openapi.json</code> of the sidecar
            </Pair>
          </dl>
        </div>
      </div>
    </section>
  );
}

function Pair(props: { name: string; children: preact.ComponentChildren }) {
  return (
    <div>
      <dt>{props.name}</dt>
      <dd>{props.children}</dd>
    </div>
  );
}

function Facts(props: { facts: Process }) {
  const { facts } = props;
  return (
    <dl class="pairs">
      <Pair name="Version">
        <strong>Bascule {facts.version}</strong>
      </Pair>
      <Pair name="State">
        {STATE_WORD[facts.state]}
        {!facts.is_ready && `, not ready: ${facts.reason ?? 'no reason is given'}`}
      </Pair>
      <Pair name="Started">
        <Moment at={facts.started_at} />
        {', '}
        <Since at={facts.started_at} /> ago
      </Pair>
      <Pair name="Process id">{facts.pid}</Pair>
      <Pair name="Generation">
        {facts.generation === 1 ? 'the first process' : `${facts.generation}, took over from process ${facts.predecessor ?? 'unknown'}`}
      </Pair>
      <Pair name="Serving">
        {plural(facts.connections, 'connection')}, {count(facts.requests_in_flight)} in flight
      </Pair>
      {facts.latest_upgrade !== null && (
        <Pair name="Last upgrade">
          {facts.latest_upgrade.result} at <Moment at={facts.latest_upgrade.at} />
          {facts.latest_upgrade.reason !== null && `: ${facts.latest_upgrade.reason}`}
        </Pair>
      )}
    </dl>
  );
}
