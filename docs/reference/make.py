"""Makes the pages of the reference that are written down in the code: bmc-support.md."""

from __future__ import annotations

from pathlib import Path

from ironic_httpboot.redfish.support import as_markdown

if __name__ == "__main__":
    Path(__file__).with_name("bmc-support.md").write_text(as_markdown())
