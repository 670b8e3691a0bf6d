// Draws what happened behind the lines: shaded incident windows, and marks at single moments.

import type uPlot from 'uplot';
import { cssColor } from '../theme';

/** A shaded stretch, with a darker one inside it; unix seconds. */
export interface Band {
  from: number;
  to: number;
  /** The part whose requests the incident's counts are of. */
  window: { from: number; to: number };
  label: string;
}

/** A dashed line at one moment; unix seconds. */
export interface Mark {
  at: number;
  label: string;
}

/** An incident can be shorter than a pixel; it is still seen. */
const BAND_WIDTH_MIN = 3;

export function bandsPlugin(current: () => { bands: readonly Band[]; marks: readonly Mark[]; gaps: readonly { from: number; to: number }[] }): uPlot.Plugin {
  return {
    hooks: {
      drawClear: (u) => {
        const { ctx, bbox } = u;
        const { bands, marks, gaps } = current();
        const scale = devicePixelRatio;
        ctx.save();
        ctx.beginPath();
        ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
        ctx.clip();
        for (const gap of gaps) drawGap(u, gap, scale);
        for (const band of bands) drawBand(u, band, scale);
        for (const mark of marks) drawMark(u, mark, scale);
        ctx.restore();
      },
    },
  };
}

/** Hatched, because an empty stretch would read as no traffic. */
function drawGap(u: uPlot, gap: { from: number; to: number }, scale: number): void {
  const { ctx, bbox } = u;
  const left = Math.max(bbox.left, u.valToPos(gap.from, 'x', true));
  const right = Math.min(bbox.left + bbox.width, u.valToPos(gap.to, 'x', true));
  if (right - left < 1) return;
  ctx.save();
  ctx.beginPath();
  ctx.rect(left, bbox.top, right - left, bbox.height);
  ctx.clip();
  ctx.strokeStyle = cssColor('--chart-gap');
  ctx.lineWidth = scale;
  ctx.beginPath();
  for (let x = left - bbox.height; x < right; x += 8 * scale) {
    ctx.moveTo(x, bbox.top + bbox.height);
    ctx.lineTo(x + bbox.height, bbox.top);
  }
  ctx.stroke();
  ctx.restore();
}

function drawBand(u: uPlot, band: Band, scale: number): void {
  const { ctx, bbox } = u;
  const place = (part: { from: number; to: number }): [number, number] => {
    const start = u.valToPos(part.from, 'x', true);
    return [start, Math.max(BAND_WIDTH_MIN * scale, u.valToPos(part.to, 'x', true) - start)];
  };
  const [left, width] = place(band);
  if (left + width < bbox.left || left > bbox.left + bbox.width) return;
  ctx.fillStyle = cssColor('--chart-band');
  ctx.fillRect(left, bbox.top, width, bbox.height);
  const [innerLeft, innerWidth] = place(band.window);
  ctx.fillRect(innerLeft, bbox.top, innerWidth, bbox.height);
  ctx.fillStyle = cssColor('--chart-band-edge');
  ctx.fillRect(left, bbox.top, width, 2 * scale);
}

function drawMark(u: uPlot, mark: Mark, scale: number): void {
  const { ctx, bbox } = u;
  const x = u.valToPos(mark.at, 'x', true);
  if (x < bbox.left || x > bbox.left + bbox.width) return;
  ctx.strokeStyle = cssColor('--chart-ink');
  ctx.lineWidth = scale;
  ctx.setLineDash([3 * scale, 3 * scale]);
  ctx.beginPath();
  ctx.moveTo(x, bbox.top);
  ctx.lineTo(x, bbox.top + bbox.height);
  ctx.stroke();
  ctx.setLineDash([]);
}
