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

export function bandsPlugin(current: () => { bands: readonly Band[]; marks: readonly Mark[] }): uPlot.Plugin {
  return {
    hooks: {
      drawClear: (u) => {
        const { ctx, bbox } = u;
        const { bands, marks } = current();
        const scale = devicePixelRatio;
        ctx.save();
        ctx.beginPath();
        ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
        ctx.clip();
        ctx.font = `${11 * scale}px sans-serif`;
        ctx.textAlign = 'left';
        ctx.textBaseline = 'top';
        for (const band of bands) drawBand(u, band, scale);
        for (const mark of marks) drawMark(u, mark, scale);
        ctx.restore();
      },
    },
  };
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
  ctx.fillStyle = cssColor('--chart-ink');
  if (ctx.measureText(band.label).width + 8 * scale < width) ctx.fillText(band.label, Math.max(left, bbox.left) + 4 * scale, bbox.top + 5 * scale);
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
  ctx.fillStyle = cssColor('--chart-ink');
  const width = ctx.measureText(mark.label).width;
  const fits = x + width + 6 * scale < bbox.left + bbox.width;
  ctx.fillText(mark.label, fits ? x + 4 * scale : x - width - 4 * scale, bbox.top + 5 * scale);
}
