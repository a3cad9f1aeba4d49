"""The cache of images, as many workers have it at once."""

from __future__ import annotations

import threading
from pathlib import Path
from tempfile import TemporaryDirectory

from ironic_httpboot.plugin.images import HTTPBootImageCache


def test_a_cache_is_cleaned_up_while_others_fetch_into_it(folder: Path) -> None:
    cache = HTTPBootImageCache()
    old = Path(cache.master_dir) / "old.master"
    ended = threading.Event()

    def fetch() -> None:
        while not ended.is_set():
            with TemporaryDirectory(dir=cache.master_dir):  # as Ironic downloads
                pass

    others = [threading.Thread(target=fetch) for _ in range(4)]
    for other in others:
        other.start()
    try:
        for _ in range(200):
            old.write_bytes(b"")
            cache._cache_size = -1
            cache.clean_up()
    finally:
        ended.set()
        for other in others:
            other.join()
    assert not old.exists()
