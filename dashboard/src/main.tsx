// Starts the page: theme before the first paint, then the feed, then the view.

import { render } from 'preact';
import { App } from './App';
import { selectPool, startFeed } from './feed/feed';
import { startSession } from './feed/session';
import { startVersion } from './feed/version';
import { selectedPool } from './feed/store';
import { startTally } from './feed/tally';
import { startRoute } from './route';
import { startKeys } from './keys';
import { startTheme } from './theme';
import './style/tokens.css';
import './style/base.css';
import './style/page.css';
import './style/notice.css';
import './style/pool.css';
import './style/table.css';
import './style/dialog.css';
import './style/chart.css';
import './style/timeline.css';
import './style/incident.css';
import './style/detail.css';
import './style/log.css';
import './style/control.css';
import './style/screen.css';

startTheme();
startRoute((name) => {
  if (selectedPool.value === null) selectedPool.value = name;
  else selectPool(name);
});
startFeed();
startSession();
startVersion();
startKeys();
startTally();
const root = document.getElementById('app');
if (root !== null) render(<App />, root);
