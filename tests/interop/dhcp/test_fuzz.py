"""Coverage-guided: whatever the bytes, both decoders and both decisions keep to their word. By hand, more runs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

_RUNS = 50_000
_LEAST_COVERED = 550
"""Branches that are reached. Without seeds a run comes to 200: it does not get behind the headers."""


def test_no_bytes_that_lead_to_new_code_lead_to_a_bug(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "kit.fuzz", corpus, f"-runs={_RUNS}", "-seed=1", "-max_len=1000"],
        env={"PYTHONPATH": str(Path(__file__).parents[2])},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    ended = re.search(rf"#{_RUNS}\s+DONE\s+cov: (\d+) ", done.stderr)
    assert ended, done.stderr[-4000:]
    assert int(ended[1]) >= _LEAST_COVERED, ended[0]
    assert len(list(corpus.iterdir())) > len(list(corpus.glob("seed-*"))), "it found inputs of its own"
