// The command that does the same from a terminal, and a button that copies it.

import { useEffect, useState } from 'preact/hooks';
import { copyText } from '../../save';
import { Icon } from '../Icon';
import { Words } from '../Words';

const SAID_MS = 2_000;

export function Command(props: { text: string }) {
  const [said, setSaid] = useState<'copied' | 'failed' | null>(null);
  useEffect(() => {
    if (said === null) return;
    const id = window.setTimeout(() => setSaid(null), SAID_MS);
    return () => window.clearTimeout(id);
  }, [said]);
  const copy = async (): Promise<void> => setSaid((await copyText(props.text)) ? 'copied' : 'failed');
  return (
    <div class="copy">
      <code>
        <Words text={props.text} />
      </code>
      <button type="button" class="button quiet icon-only" aria-label={`Copy the command ${props.text}`} title="Copy" onClick={() => void copy()}>
        <Icon name={said === 'copied' ? 'check' : 'copy'} size={14} />
      </button>
      <span class={said === 'failed' ? 'copy-said' : 'sr-only'} role="status">
        {said === 'copied' ? 'Copied' : said === 'failed' ? 'Select it and copy' : ''}
      </span>
    </div>
  );
}
