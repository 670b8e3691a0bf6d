// The top line: the mark, the pool on view, the connection, the theme.

import { chooseTheme, theme, THEMES } from '../theme';
import type { Theme } from '../theme';
import { connection, health, isForbidden, pool, pools, tick } from '../feed/store';
import { toneOf, verdict } from '../feed/verdict';
import { poolHref, route } from '../route';
import { clock } from '../format';
import { HelpButton } from './Help';
import { Icon, Mark } from './Icon';
import type { IconName } from './Icon';
import { Identity } from './SignIn';

export function Header() {
  const shown = pool.value;
  const tone = connection.value.kind === 'lost' || shown === null ? 'off' : toneOf(shown);
  // On a narrow screen the verdict scrolls away, and this stays.
  const word = shown === null || tone === 'off' ? null : verdict(shown).word;
  return (
    <header class="header">
      <a class="brand" href="#/">
        <Mark tone={tone} />
        <span class={word === null ? '' : 'wide-only'}>Bascule</span>
        {word !== null && <span class={`narrow-only tone-${tone}`}>{word}</span>}
      </a>
      {pools.value.length > 1 && shown !== null && <PoolSelect shown={shown.name} />}
      <Nav />
      <span class="spacer" />
      <ConnectionState />
      <Identity />
      <HelpButton />
      <ThemeChoice />
    </header>
  );
}

const SCREENS = [
  { page: 'overview', href: '#/', word: 'Overview' },
  { page: 'logs', href: '#/logs', word: 'Log' },
  { page: 'config', href: '#/config', word: 'Configuration' },
  { page: 'audit', href: '#/audit', word: 'Audit' },
  { page: 'about', href: '#/about', word: 'About' },
] as const;

function Nav() {
  return (
    <nav class="nav" aria-label="Screens">
      {SCREENS.map((it) => (
        <a key={it.page} href={it.href} aria-current={route.value.page === it.page ? 'page' : undefined}>
          {it.word}
        </a>
      ))}
    </nav>
  );
}

function PoolSelect(props: { shown: string }) {
  return (
    <label class="pool-select">
      <span aria-hidden="true">Pool</span>
      <select
        aria-label="Pool"
        value={props.shown}
        onChange={(event) => {
          location.hash = poolHref(event.currentTarget.value);
        }}
      >
        {pools.value.map((it) => (
          <option key={it.name} value={it.name}>
            {it.name}
          </option>
        ))}
      </select>
    </label>
  );
}

/** Values older than this are said to be old even while connected. */
const STALE_MS = 3_000;

function ConnectionState() {
  const state = connection.value;
  const at = health.value?.at;
  if (state.kind === 'loading') return <span class="link-state">Connecting…</span>;
  if (isForbidden.value) return <span class="link-state tone-warn">Not signed in</span>;
  if (state.kind === 'lost') {
    return (
      <span class="link-state tone-bad">
        <Icon name="plug" /> Not connected
      </span>
    );
  }
  const stale = at !== undefined && tick.value - at > STALE_MS;
  return (
    <span class={stale ? 'link-state tone-warn' : 'link-state tone-good'} title={at === undefined ? '' : `Last answer at ${clock(at)}`}>
      <Icon name={stale ? 'clock' : 'dot'} /> {stale ? `Values from ${clock(at ?? 0)}` : <span class="live-word">Live</span>}
    </span>
  );
}

const THEME_ICON: Record<Theme, IconName> = { system: 'system', light: 'sun', dark: 'moon' };
const THEME_NAME: Record<Theme, string> = { system: 'As the system', light: 'Light', dark: 'Dark' };

function ThemeChoice() {
  return (
    <fieldset class="theme-choice">
      <legend class="sr-only">Theme</legend>
      {THEMES.map((it) => (
        <label key={it} title={THEME_NAME[it]}>
          <input type="radio" name="theme" class="sr-only" checked={theme.value === it} onChange={() => chooseTheme(it)} />
          <Icon name={THEME_ICON[it]} />
          <span class="sr-only">{THEME_NAME[it]}</span>
        </label>
      ))}
    </fieldset>
  );
}
