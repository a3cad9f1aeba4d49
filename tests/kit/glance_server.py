"""Glance's API behind a WSGI server, without Keystone: images in a folder, the rest in SQLite.

Runs under `.venv-glance`, where Glance is; `kit.glance` starts it. Arguments: address, port. Glance reads its
configuration from the file that the environment names.
"""

from __future__ import annotations

import sys

from cheroot import wsgi
from glance.wsgi.api import application


def main(host: str, port: str) -> None:
    """Serve until it is ended."""
    server = wsgi.Server((host, int(port)), application)
    try:
        server.start()
    finally:
        server.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
