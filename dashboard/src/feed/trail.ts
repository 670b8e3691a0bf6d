// Entries of the audit list as people read them. Pure.

import type { AuditEntry } from '../wire/types';
import { plain } from './ordering';

const ACTION_WORDS: Record<string, string> = {
  'backend.drain': 'Drained',
  'backend.enable': 'Enabled',
  'backend.disable': 'Disabled',
  'backend.weight': 'Changed the weight of',
  'backend.eject': 'Ejected',
  'backend.readmit': 'Readmitted',
  'pool.failover': 'Failed over',
  'pool.failback': 'Failed back',
  'fault.inject': 'Injected a fault into',
  'fault.end': 'Ended faults of',
  'configuration.reload': 'Reloaded the',
  'configuration.try': 'Tried the',
  'log.level': 'Changed the log level of the',
  'process.drain': 'Declared not ready: the',
  'process.undrain': 'Declared ready again: the',
  'process.upgrade': 'Upgraded the',
};

/** "Drained api/primary"; what was refused before it was understood is told by its request. */
export function whatWords(entry: AuditEntry): string {
  const asked = wordsOfRequest(entry.request);
  if (entry.action === null) return asked ?? 'Unknown';
  const words = ACTION_WORDS[entry.action] ?? entry.action;
  return entry.target === null ? words : `${words} ${entry.target}`;
}

function wordsOfRequest(request: string | null): string | null {
  if (request === null) return null;
  const [, path = ''] = request.split(' ');
  const parts = path.split('/').slice(1).map(decoded);
  if (parts[0] === 'backends' && parts.length === 4) return `Wanted to ${parts[3]} ${parts[1]}/${parts[2]}`;
  if (parts[0] === 'pools' && parts.length === 3) return `Wanted a ${parts[2]} of ${parts[1]}`;
  if (path === '/proxy/fail' || path === '/faults') return 'Wanted to inject a fault';
  if (path === '/proxy/recover') return 'Wanted to end faults';
  if (path === '/config/reload') return 'Wanted to reload the configuration';
  return request;
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** Who, in a word or two. */
export function whoWords({ who }: AuditEntry): string {
  if (who.name !== null) return who.name;
  return who.kind === 'local' ? 'This machine' : who.kind.charAt(0).toUpperCase() + who.kind.slice(1);
}

interface ValueChange {
  key: string;
  before: string;
  after: string;
}

const KEY_WORDS: Record<string, string> = {
  is_eligible: 'eligible', is_active: 'active', active_tier: 'active tier', held_tier: 'held tier', to_tier: 'to tier', not_recovered: 'not recovered',
};

/** Of what was before and after, only what differs. */
export function changesOf(entry: AuditEntry): ValueChange[] {
  const [before, after] = [fields(entry.before), fields(entry.after)];
  const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  return keys
    .map((key) => ({ key: KEY_WORDS[key] ?? key.replaceAll('_', ' '), before: read(before[key]), after: read(after[key]) }))
    .filter((it) => it.before !== it.after);
}

function fields(value: unknown): Record<string, unknown> {
  if (value === null || value === undefined) return {};
  if (Array.isArray(value)) return Object.fromEntries(value.map((it, index) => [String(index + 1), it]));
  return typeof value === 'object' ? (value as Record<string, unknown>) : { value };
}

function read(value: unknown): string {
  if (value === true) return 'yes';
  if (value === false) return 'no';
  if (Array.isArray(value)) return value.length === 0 ? 'none' : value.map(plain).join(', ');
  if (typeof value === 'object' && value !== null) {
    const known = Object.entries(value).filter(([, it]) => it !== null);
    return known.length === 0 ? 'none' : known.map(([key, it]) => `${key.replaceAll('_', ' ')} ${plain(it)}`).join(', ');
  }
  return plain(value);
}

export interface AuditFilter {
  result: 'all' | 'done' | 'refused';
  text: string;
  id: number | null;
}

/** All words must be somewhere in it. */
export function isWanted(entry: AuditEntry, filter: AuditFilter): boolean {
  if (filter.id !== null && entry.id !== filter.id) return false;
  if (filter.result === 'done' && entry.result !== 'done') return false;
  if (filter.result === 'refused' && entry.result === 'done') return false;
  const words = filter.text.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return true;
  const { who } = entry;
  const all = [whatWords(entry), entry.request, who.name, who.kind, who.address, who.speaks_for, entry.code, entry.reason, entry.action]
    .join(' ')
    .toLowerCase();
  return words.every((it) => all.includes(it));
}
