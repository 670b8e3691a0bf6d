// The frames of the feed, read with the decoders that read the same things when they are polled.

import * as decode from '../wire/decode';
import { amount, list, object, oneOf } from '../wire/shape';
import type { Decoder } from '../wire/shape';
import type { FeedFrame, Health, Incident, Series } from '../wire/types';

/** All that the feed has said, put together. */
export interface Known {
  /** The number of the change that is known last. */
  seq: number;
  health: Health;
  incidents: Incident[];
  series: Series | null;
}

const frameType = object<Pick<FeedFrame, 'type'>>({ type: oneOf('snapshot', 'change', 'series') });
const state = object<Omit<FeedFrame & { type: 'change' }, 'type'>>({
  seq: amount,
  health: decode.health,
  incidents: list(decode.incident),
});
const points = object<Omit<FeedFrame & { type: 'series' }, 'type'>>({ series: decode.series });

export const feedFrame: Decoder<FeedFrame> = (value, path) => {
  const { type } = frameType(value, path);
  return type === 'series' ? { type, ...points(value, path) } : { type, ...state(value, path) };
};
