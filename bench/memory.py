"""How much memory a server holds that knows a thousand images."""

from __future__ import annotations

from http.client import HTTPConnection

from bench.inputs import Inputs
from bench.process import Served, httpboot
from bench.report import Finding, Goal
from ironic_httpboot.http.store import Publication, Store

_IMAGES = 1000
_MOST_BYTES = 150_000_000


def run(inputs: Inputs) -> Finding:
    """Publish, ask for each, look."""
    folder = inputs.folder / "memory-store"
    with httpboot("--store", folder) as server:
        before = server.resident_bytes()
        store = Store(folder)
        published = [store.publish(inputs.image(number), name=f"{number}.iso") for number in range(_IMAGES)]
        sizes = [path.stat().st_size for path in folder.iterdir()]
        _ask(server, published)
        after = server.resident_bytes()
    return Finding(
        title="memory: a thousand published images of 300 MB",
        how="Resident memory of `httpboot serve -q` at its start, and after a HEAD and a Range for each image.",
        columns=("", "MB"),
        rows=(
            ("at the start", f"{before / 1e6:.0f}"),
            (f"after {_IMAGES:,} images", f"{after / 1e6:.0f}"),
            ("all manifests on disk", f"{sum(sizes) / 1e6:.1f}"),
        ),
        goals=(Goal(what="memory", figure=f"{after / 1e6:.0f} MB", goal="≤ 150 MB", met=after <= _MOST_BYTES),),
    )


def _ask(server: Served, published: list[Publication]) -> None:
    connection = HTTPConnection("127.0.0.1", server.port)
    for publication in published:
        connection.request("HEAD", publication.path)
        answer = connection.getresponse()
        assert answer.status == 200, answer.status
        size = int(answer.headers["Content-Length"])
        answer.read()
        connection.request("GET", publication.path, headers={"Range": f"bytes={size // 2}-{size // 2 + 999_999}"})
        answer = connection.getresponse()
        assert (answer.status, len(answer.read())) == (206, 1_000_000)
    connection.close()
