// The table behind a chart, for those who read numbers rather than pictures.

import { useState } from 'preact/hooks';
import { clock } from '../format';
import type { TableRow } from '../chart/columns';

interface ChartTableProps {
  caption: string;
  head: readonly string[];
  /** Only computed while the table is open. */
  rows: () => TableRow[];
  cells: (row: TableRow) => string[];
}

export function ChartTable({ caption, head, rows, cells }: ChartTableProps) {
  const [open, setOpen] = useState(false);
  return (
    <details class="chart-table" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>
        Table<span class="sr-only"> of {caption}</span>
      </summary>
      {open && (
        <div class="scroll-box" tabIndex={0} role="region" aria-label={caption}>
          <table>
            <caption class="sr-only">{caption}</caption>
            <thead>
              <tr>
                <th scope="col">From</th>
                {head.map((it) => (
                  <th key={it} scope="col">
                    {it}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {rows().map((row) => (
                <tr key={row.at}>
                  <th scope="row">{clock(row.at * 1000)}</th>
                  {cells(row).map((cell, index) => (
                    <td key={index}>{cell}</td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </details>
  );
}
