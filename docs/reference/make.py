"""Makes the pages of the reference that are written down in the code: bmc-support.md, ironic-options.md."""

from __future__ import annotations

from pathlib import Path

from ironic_httpboot.plugin.options_page import as_markdown as ironic_options
from ironic_httpboot.redfish.support import as_markdown as bmc_support

if __name__ == "__main__":
    Path(__file__).with_name("bmc-support.md").write_text(bmc_support())
    Path(__file__).with_name("ironic-options.md").write_text(ironic_options())
