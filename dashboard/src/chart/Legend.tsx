// Names the lines of a chart, with the value under the cursor or else the latest.

import { NONE } from '../format';
import type { Column } from '../wire/types';
import { cursorAt, indexAt } from './cursor';
import type { Line } from './line';

interface LegendProps {
  lines: readonly Line[];
  columns: readonly Column[];
  times: readonly number[];
}

export function Legend({ lines, columns, times }: LegendProps) {
  const index = indexAt(times, cursorAt.value);
  return (
    <ul class="legend">
      {lines.map((line, it) => {
        const value = columns[it]?.[index] ?? null;
        return (
          <li key={line.label}>
            <Swatch line={line} />
            <span class="legend-name">{line.label}</span> <b>{value === null ? (line.none ?? NONE) : line.format(value)}</b>
          </li>
        );
      })}
    </ul>
  );
}

/** Drawn as the chart draws it: a block for bars, a line, or a dashed line. */
function Swatch({ line }: { line: Line }) {
  const color = `var(${line.color})`;
  return (
    <svg class="swatch" viewBox="0 0 18 10" width="18" height="10" aria-hidden="true">
      {line.kind === 'bars' ? (
        <rect x="5" y="0" width="7" height="10" rx="1" style={{ fill: color }} />
      ) : (
        <path d="M0 5H18" style={{ stroke: color }} stroke-width="2.5" stroke-dasharray={line.dash === undefined ? undefined : '5 3'} />
      )}
    </svg>
  );
}
