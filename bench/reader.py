"""A client that takes a file over many connections in turns and keeps nothing: python -m bench.reader PORT PATH N

Prints how many bytes of content came.
"""

from __future__ import annotations

import selectors
import socket
import sys

_BUFFER_BYTES = 64 * 1024


def take(port: int, path: str, connections: int) -> int:
    """The bytes of content that came, over all connections."""
    selector = selectors.DefaultSelector()
    left: dict[socket.socket, int] = {}
    for _ in range(connections):
        joining = socket.create_connection(("127.0.0.1", port))
        joining.sendall(f"GET {path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n".encode())
        selector.register(joining, selectors.EVENT_READ)
    buffer = bytearray(_BUFFER_BYTES)
    content_bytes = 0
    while selector.get_map():
        for key, _ in selector.select():
            client = key.fileobj
            if not isinstance(client, socket.socket):
                raise TypeError(client)
            if client not in left:
                left[client] = _head(client)
                content_bytes += left[client]
            left[client] -= client.recv_into(buffer, min(_BUFFER_BYTES, left[client]))
            if left[client] == 0:
                selector.unregister(client)
                client.close()
    return content_bytes


def _head(client: socket.socket) -> int:
    """Read the head of an answer, and no more; the length of its content."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += client.recv(1)
    assert head.startswith(b"HTTP/1.1 200 "), head
    lines = head.decode("latin-1").lower().split("\r\n")
    return next(int(line.partition(":")[2]) for line in lines if line.startswith("content-length:"))


if __name__ == "__main__":
    port, path, connections = sys.argv[1:]
    print(take(int(port), path, int(connections)))
