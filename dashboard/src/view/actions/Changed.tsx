// Somebody else was faster: what was seen, and what is so now.

import type { Difference } from '../../feed/ordering';

export function Changed(props: { all: readonly Difference[] }) {
  if (props.all.length === 0) return null;
  return (
    <ul class="changed">
      {props.all.map((it) => (
        <li key={it.what}>
          {it.what}: you saw <s>{it.expected}</s>, it is <strong>{it.found}</strong> now
        </li>
      ))}
    </ul>
  );
}
