// Small decoders from `unknown` to a type. Each says where and what it expected when it fails;
// unknown extra fields pass, so that a newer proxy does not break an older page.

export interface Decoder<T> {
  (value: unknown, path: string): T;
  /** Never there. A decoder of fewer values than are sent is none of what is sent: `text` does not read a string or null. */
  readonly reads?: (sent: T) => void;
}

/** An answer that is not what the contract says, with the place of the first difference. */
export class DecodeError extends Error {
  override name = 'DecodeError';

  constructor(path: string, expected: string, got: unknown) {
    super(`${path || 'answer'}: expected ${expected}, got ${glimpse(got)}`);
  }
}

function glimpse(value: unknown): string {
  if (value === undefined) return 'nothing';
  const text = JSON.stringify(value) ?? typeof value;
  return text.length > 40 ? `${text.slice(0, 40)}…` : text;
}

export const text: Decoder<string> = (value, path) => {
  if (typeof value !== 'string') throw new DecodeError(path, 'a string', value);
  return value;
};

export const number: Decoder<number> = (value, path) => {
  if (typeof value !== 'number' || !Number.isFinite(value)) throw new DecodeError(path, 'a number', value);
  return value;
};

/** A number that is never below zero; counters and durations. */
export const amount: Decoder<number> = (value, path) => {
  const decoded = number(value, path);
  if (decoded < 0) throw new DecodeError(path, 'a number of at least 0', value);
  return decoded;
};

export const flag: Decoder<boolean> = (value, path) => {
  if (typeof value !== 'boolean') throw new DecodeError(path, 'true or false', value);
  return value;
};

export const timestamp: Decoder<string> = (value, path) => {
  const decoded = text(value, path);
  if (Number.isNaN(Date.parse(decoded))) throw new DecodeError(path, 'a time', value);
  return decoded;
};

export function nullable<T>(inner: Decoder<T>): Decoder<T | null> {
  return (value, path) => (value === null || value === undefined ? null : inner(value, path));
}

export function oneOf<const T extends string>(...allowed: T[]): Decoder<T> {
  return (value, path) => {
    const found = allowed.find((it) => it === value);
    if (found === undefined) throw new DecodeError(path, `one of ${allowed.join(', ')}`, value);
    return found;
  };
}

export function list<T>(inner: Decoder<T>): Decoder<T[]> {
  return (value, path) => {
    if (!Array.isArray(value)) throw new DecodeError(path, 'a list', value);
    return value.map((item, index) => inner(item, `${path}[${index}]`));
  };
}

function asRecord(value: unknown, path: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new DecodeError(path, 'an object', value);
  }
  return value as Record<string, unknown>;
}

export function record<T>(inner: Decoder<T>): Decoder<Record<string, T>> {
  return (value, path) => {
    const decoded: Record<string, T> = {};
    for (const [key, item] of Object.entries(asRecord(value, path))) decoded[key] = inner(item, `${path}.${key}`);
    return decoded;
  };
}

export const anything: Decoder<unknown> = (value) => value;

export function object<T extends object>(shape: { [K in keyof T]-?: Decoder<T[K]> }): Decoder<T> {
  const fields = Object.entries(shape) as [string, Decoder<unknown>][];
  return (value, path) => {
    const source = asRecord(value, path);
    const decoded: Record<string, unknown> = {};
    for (const [key, decode] of fields) decoded[key] = decode(source[key], path ? `${path}.${key}` : key);
    return decoded as T;
  };
}
