// An incident's four moments in a row, with the length of each step written between them.

import { durationOrNone } from '../format';
import type { Incident } from '../wire/types';
import { Icon } from './Icon';
import type { IconName } from './Icon';
import { Moment, Since } from './Moment';

interface Step {
  name: string;
  icon: IconName;
  at: string | null;
  /** Seconds from this moment to the next; null while it is still running or never came. */
  gap: number | null;
  gapName: string;
}

function seconds(from: string | null, to: string | null): number | null {
  return from === null || to === null ? null : Math.max(0, (Date.parse(to) - Date.parse(from)) / 1000);
}

function steps(incident: Incident): Step[] {
  const { moments } = incident;
  return [
    { name: 'Suspected', icon: 'question', at: moments.suspected_at, gap: incident.detection_seconds, gapName: 'to detect' },
    { name: 'Decided', icon: 'diamond', at: moments.decided_at, gap: incident.switch_seconds, gapName: 'to switch' },
    { name: 'Serving', icon: 'swap', at: moments.serving_at, gap: seconds(moments.serving_at, moments.recovered_at), gapName: 'to recover' },
    { name: 'Recovered', icon: 'check', at: moments.recovered_at, gap: null, gapName: '' },
  ];
}

export function Timeline(props: { incident: Incident }) {
  const { incident } = props;
  const all = steps(incident);
  return (
    <ol class="timeline" aria-label={`Moments of ${incident.id}`}>
      {all.map((step, index) => {
        const next = all[index + 1];
        const running = step.at !== null && next !== undefined && next.at === null;
        const classes = ['moment', step.at === null ? 'pending' : 'done', running ? 'running' : '', `step-${index}`];
        return (
          <li key={step.name} class={classes.filter(Boolean).join(' ')}>
            <span class="moment-dot">
              <Icon name={step.at === null ? 'ring' : step.icon} size={14} />
            </span>
            <span class="moment-name">{step.name}</span>
            <span class="moment-at">{step.at === null ? <Pending incident={incident} /> : <Moment at={step.at} millis />}</span>
            {next !== undefined && <Gap step={step} running={running && incident.state !== 'closed'} />}
          </li>
        );
      })}
    </ol>
  );
}

/** The stretch to the next moment, with its length; while it runs, its length so far. */
function Gap(props: { step: Step; running: boolean }) {
  const { step, running } = props;
  if (step.at === null || (step.gap === null && !running)) return <span class="moment-gap" />;
  return (
    <span class="moment-gap">
      <span class="moment-length">
        <strong>{running ? <Since at={step.at} /> : durationOrNone(step.gap)}</strong> {step.gapName}
      </span>
    </span>
  );
}

function Pending(props: { incident: Incident }) {
  return <>{props.incident.state === 'closed' ? 'never' : 'not yet'}</>;
}
