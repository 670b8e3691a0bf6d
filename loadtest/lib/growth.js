// What grew between the early and the late part of a run.

function median(values) {
  const ranked = [...values].sort((a, b) => a - b);
  return ranked[Math.floor(ranked.length / 2)];
}

/**
 * Compares the second fifth of the samples with the last: the first is left out, because caches fill and
 * connections are made then. Medians, since a fault takes memory for a while. Null with fewer than ten.
 */
export function growth(samples) {
  if (samples.length < 10) return null;
  const fifth = Math.floor(samples.length / 5);
  const early = samples.slice(fifth, 2 * fifth);
  const late = samples.slice(-fifth);
  const change = (name) => median(late.map((it) => it[name])) - median(early.map((it) => it[name]));
  return { residentMib: change('residentMib'), descriptors: change('descriptors') };
}
