"""Length-prefixed JSON over a socket: all that ever passes between the app and sandboxed code.

Never pickle. Whoever reads gives a cap, which is checked before anything is parsed.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct

LENGTH = struct.Struct(">I")


class BrokenChannelError(Exception):
    """The other side is gone, or sent what no frame is."""


def pack(message: dict) -> bytes:
    """Raises ValueError for what JSON cannot hold."""
    # Lone surrogates, which code may well print, are passed; the reader makes them harmless.
    body = json.dumps(message, ensure_ascii=False).encode("utf-8", "surrogatepass")
    return LENGTH.pack(len(body)) + body


class Channel:
    """One end of a stream socket. `cap`: bytes of the largest frame accepted."""

    def __init__(self, sock: socket.socket, cap: int, *, takes_fds: bool = False):
        self.sock, self.cap, self.takes_fds = sock, cap, takes_fds
        self._buffer = bytearray()
        self.fds: list[int] = []
        """File descriptors that came with what was read; the reader takes them out."""

    def send(self, message: dict, fd: int | None = None) -> None:
        self.send_bytes(pack(message), fd)

    def send_bytes(self, frame: bytes, fd: int | None = None) -> None:
        try:
            if fd is not None:
                sent = socket.send_fds(self.sock, [frame], [fd])
                frame = frame[sent:]
            self.sock.sendall(frame)
        except OSError as error:
            raise BrokenChannelError(f"cannot be reached: {error}") from None

    def receive(self) -> dict:
        """The next frame; waits for it, as long as the socket's timeout."""
        while (message := self.next()) is None:
            self.read()
        return message

    def read(self, *, wait: bool = True) -> None:
        """Take in what has come, at most one buffer. If nothing has: wait, or take it for an end.

        (What wakes `select` need not be readable: a byte sent out of band is not.)
        """
        try:
            if self.takes_fds:
                data, fds, _, _ = socket.recv_fds(self.sock, 1 << 16, 1)
                self.fds += fds
            else:
                data = self.sock.recv(1 << 16) if wait else os.read(self.sock.fileno(), 1 << 16)
        except TimeoutError:
            raise BrokenChannelError("did not answer in time") from None
        except OSError as error:
            raise BrokenChannelError(f"cannot be reached: {error}") from None
        if not data:
            raise BrokenChannelError("has ended")
        self._buffer += data

    def next(self) -> dict | None:
        """A frame that has come whole, or None."""
        if len(self._buffer) < LENGTH.size:
            return None
        (size,) = LENGTH.unpack_from(self._buffer)
        if size > self.cap:
            raise BrokenChannelError(f"sent {size:,} bytes; at most {self.cap:,} are taken")
        end = LENGTH.size + size
        if len(self._buffer) < end:
            return None
        body = bytes(self._buffer[LENGTH.size : end])
        del self._buffer[:end]
        try:
            message = json.loads(body)
        except (ValueError, RecursionError):
            raise BrokenChannelError("sent what is no JSON") from None
        if not isinstance(message, dict):
            raise BrokenChannelError("sent what is no message")
        return message

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)  # wakes a thread that waits in it
        self.sock.close()
