"""Coverage-guided: whatever the bytes, both decoders and both decisions keep to their word. By hand, more runs."""

from __future__ import annotations

import sys
from pathlib import Path

from kit.judges import judge

_RUNS = 20_000


def test_no_bytes_that_lead_to_new_code_lead_to_a_bug(tmp_path: Path) -> None:
    tests = Path(__file__).parents[2]
    path = f"PYTHONPATH={tests}"
    judge("env", path, sys.executable, "-m", "kit.fuzz", f"-runs={_RUNS}", "-seed=1", "-max_len=600", cwd=tmp_path)
