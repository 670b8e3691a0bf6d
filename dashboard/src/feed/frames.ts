// The frames of the feed, read with the decoders that read the same things when they are polled.

import * as decode from '../wire/decode';
import { amount, list, object, oneOf } from '../wire/shape';
import type { Decoder } from '../wire/shape';
import type { Health, Incident, Series } from '../wire/types';

export type FeedFrame =
  | { type: 'snapshot'; seq: number; health: Health; incidents: Incident[] }
  | { type: 'change'; seq: number; health: Health; incidents: Incident[] }
  | { type: 'series'; series: Series };

/** All that the feed has said, put together. */
export interface Known {
  /** The number of the change that is known last. */
  seq: number;
  health: Health;
  incidents: Incident[];
  series: Series | null;
}

const frameType = object<{ type: FeedFrame['type'] }>({ type: oneOf('snapshot', 'change', 'series') });
const state = object<{ seq: number; health: Health; incidents: Incident[] }>({
  seq: amount,
  health: decode.health,
  incidents: list(decode.incident),
});
const points = object<{ series: Series }>({ series: decode.series });

export const feedFrame: Decoder<FeedFrame> = (value, path) => {
  const { type } = frameType(value, path);
  return type === 'series' ? { type, ...points(value, path) } : { type, ...state(value, path) };
};
