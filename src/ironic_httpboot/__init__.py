"""Boot a bare-metal machine from one HTTP(S) URL, and prove that it did."""

from importlib.metadata import version

__version__ = version("ironic-httpboot")
