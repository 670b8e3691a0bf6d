// Times on the page: local time shown, UTC on hover, ages and countdowns that move by themselves.

import { clock, clockMillis, day, span, utc } from '../format';
import { clockSkew, connection, health, tick } from '../feed/store';

/** Server time as this page believes it to be; stands still while the values are old. */
function serverNow(): number {
  const frozen = connection.value.kind === 'lost' ? health.value?.at : undefined;
  return (frozen ?? tick.value) + clockSkew.value;
}

export function Moment(props: { at: string; millis?: boolean }) {
  const at = Date.parse(props.at);
  const date = day(at, Date.now());
  return (
    <time dateTime={props.at} title={utc(at)}>
      {date && `${date} `}
      {props.millis ? clockMillis(at) : clock(at)}
    </time>
  );
}

/** "12 s ago", "just now". */
export function Ago(props: { at: string }) {
  const seconds = (serverNow() - Date.parse(props.at)) / 1000;
  return <>{seconds < 1 ? 'just now' : `${span(seconds)} ago`}</>;
}

/** The length since a moment: "2 m 14 s". */
export function Since(props: { at: string }) {
  return <>{span((serverNow() - Date.parse(props.at)) / 1000)}</>;
}

/** The length until a moment of the server's clock, rounded up so that it ends at 0. */
export function Until(props: { at: string }) {
  return <>{span(Math.ceil((Date.parse(props.at) - serverNow()) / 1000))}</>;
}

/** The length until a moment of the browser's clock. */
export function UntilHere(props: { at: number }) {
  return <>{span(Math.ceil((props.at - tick.value) / 1000))}</>;
}

/** The length since a moment of the browser's clock. */
export function SinceHere(props: { at: number }) {
  return <>{span((tick.value - props.at) / 1000)}</>;
}
