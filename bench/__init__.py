"""Measurements beside the peers: `python -m bench`, or `python -m bench NAME` for one. See RESULTS.md."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "tests"))  # kit.efi makes kernels that need no real one
