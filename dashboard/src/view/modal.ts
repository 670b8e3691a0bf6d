// A dialog that opens at once, and gives the focus back to where it came from.

import { useEffect, useRef } from 'preact/hooks';
import type { RefObject } from 'preact';

export function useModal(onGone: () => void): { dialog: RefObject<HTMLDialogElement | null>; close: () => void } {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const opener = document.activeElement;
    dialog.current?.showModal();
    return () => {
      if (opener instanceof HTMLElement && opener.isConnected) opener.focus();
    };
  }, []);
  return { dialog, close: () => (dialog.current === null ? onGone() : dialog.current.close()) };
}
