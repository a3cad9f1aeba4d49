"""Where the `httpboot` command begins: imports take a while, and Ctrl-C is an answer there too.

Refuses to know anything else, so that this module itself takes no time.
"""

import sys

_INTERRUPTED = 130


def main() -> None:
    """Load the command line and run it."""
    try:
        from ironic_httpboot.cli.main import main as run
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        sys.exit(_INTERRUPTED)
    run()
