"""Readers of the live log: WebSockets to the sidecar, all of which one thread reads."""

import selectors
import threading

from lib.bench import websocket


class Readers:
    """So many of them. `received` counts the bytes that came, of all together."""

    def __init__(self, address, count):
        self.received, self._is_over, self._selector = 0, threading.Event(), selectors.DefaultSelector()
        self._sockets = [self._open(address) for _ in range(count)]
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _open(self, address):
        it = websocket.opened(address, "/logs")
        it.setblocking(False)
        self._selector.register(it, selectors.EVENT_READ)
        return it

    def _read(self):
        while not self._is_over.is_set():
            for key, _ in self._selector.select(0.1):
                piece = key.fileobj.recv(65536)
                self.received += len(piece)
                if not piece:
                    self._selector.unregister(key.fileobj)

    def close(self):
        self._is_over.set()
        self._thread.join()
        for it in self._sockets:
            it.close()
        self._selector.close()
