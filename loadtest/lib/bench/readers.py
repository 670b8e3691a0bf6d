"""Readers of the live log: WebSockets to the sidecar, all of which one thread reads."""

import selectors
import socket
import threading

from lib.drills.world import CannotBegin


class Readers:
    """So many of them. `received` counts the bytes that came, of all together."""

    def __init__(self, address, count):
        self.received, self._is_over, self._selector = 0, threading.Event(), selectors.DefaultSelector()
        self._sockets = [self._open(address) for _ in range(count)]
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _open(self, address):
        host, port = address.split(":")
        it = socket.create_connection((host, int(port)), timeout=5)
        it.sendall(
            f"GET /logs HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        head = it.recv(4096)
        if b" 101 " not in head:
            raise CannotBegin(f"the live log was not opened: {head!r}")
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
