// One line of a chart: what it is called and how it is drawn.

export interface Line {
  label: string;
  /** CSS variable of its colour. */
  color: string;
  kind: 'line' | 'area' | 'bars';
  /** The left axis, or the right one of the second unit. */
  axis: 'left' | 'right';
  dash?: number[];
  /** What the legend says where there is no value. */
  none?: string;
  format: (value: number) => string;
}
