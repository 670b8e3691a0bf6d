"""A client that talks over many WebSockets at once, as fast as messages come back.

usage: python3 -m lib.bench.websocket ADDRESS PATH CONVERSATIONS SECONDS
"""

import contextlib
import selectors
import socket
import sys
import time

from lib.drills.world import CannotBegin


def frame(payload, mask=b""):
    """A text message of less than 126 bytes: as a client sends it with a mask, as a server does without."""
    bits = 0x80 if mask else 0
    covered = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload)) if mask else payload
    return bytes([0x81, bits | len(payload)]) + mask + covered


def opened(address, path):
    """A socket on which a WebSocket was opened, read to the end of the answer's head."""
    host, port = address.split(":")
    it = socket.create_connection((host, int(port)), timeout=5)
    it.sendall(
        f"GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
    )
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        piece = it.recv(1)
        if not piece:
            raise CannotBegin(f"no WebSocket was opened: {head!r}")
        head += piece
    if not head.startswith(b"HTTP/1.1 101 "):
        raise CannotBegin(f"no WebSocket was opened: {head!r}")
    return it


class Conversation:
    """One WebSocket on which a message is sent whenever the last has come back."""

    MESSAGE = b"m" * 64
    SENT, EXPECTED = frame(MESSAGE, b"mask"), frame(MESSAGE)

    def __init__(self, address, path):
        self.socket = opened(address, path)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = b""

    def say(self):
        self.socket.sendall(self.SENT)

    def hear(self):
        """Whether the message has come back. An error if something else has, or nothing will."""
        piece = self.socket.recv(65536)
        self.received += piece
        if not piece or not self.EXPECTED.startswith(self.received):
            raise ConnectionError(f"instead of the message came {self.received!r}")
        if self.received != self.EXPECTED:
            return False
        self.received = b""
        return True


def converse(address, path, count, seconds):
    """Holds so many conversations for so long; returns how many messages came back, and how many broke off."""
    answered = failed = 0
    with selectors.DefaultSelector() as selector, contextlib.ExitStack() as stack:
        for _ in range(count):
            one = Conversation(address, path)
            stack.enter_context(one.socket)
            selector.register(one.socket, selectors.EVENT_READ, one)
            one.say()
        end = time.monotonic() + seconds
        while time.monotonic() < end and selector.get_map():
            for key, _ in selector.select(0.1):
                try:
                    if key.data.hear():
                        answered += 1
                        key.data.say()
                except OSError:
                    failed += 1
                    selector.unregister(key.fileobj)
    return answered, failed


if __name__ == "__main__":
    try:
        print(*converse(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))
    except CannotBegin as problem:
        sys.exit(str(problem))
