"""Options of [httpboot]: where machines reach the store."""

from __future__ import annotations

from pathlib import Path

import pytest
from oslo_config import cfg

from ironic_httpboot.errors import BadUrl
from ironic_httpboot.plugin import conf


def configured(tmp_path: Path, text: str) -> cfg.ConfigOpts:
    file = tmp_path / "ironic.conf"
    file.write_text(f"[httpboot]\n{text}\n")
    found = cfg.ConfigOpts()
    conf.register(found)
    found(["--config-file", str(file)], default_config_files=[])
    return found


@pytest.mark.parametrize(
    ("text", "version", "found"),
    [
        ("url = http://192.0.2.1:8080/", None, "http://192.0.2.1:8080"),
        ("url = http://192.0.2.1:8080\nurl6 = http://[2001:db8::1]:8080", 6, "http://[2001:db8::1]:8080"),
        ("url6 = http://[2001:db8::1]:8080", None, "http://[2001:db8::1]:8080"),
        ("url = http://192.0.2.1:8080", 6, None),
        ("", None, None),
    ],
)
def test_the_url_of_the_store_is_found_by_family(
    tmp_path: Path, text: str, version: int | None, found: str | None
) -> None:
    assert conf.base_url(configured(tmp_path, text), version) == found


def test_a_url_that_cannot_be_one_names_its_option(tmp_path: Path) -> None:
    with pytest.raises(BadUrl, match=r"^\[httpboot\]url: scheme is 'ftp'"):
        conf.base_url(configured(tmp_path, "url = ftp://192.0.2.1"))


def test_every_option_says_what_it_is_for() -> None:
    for _, options in conf.list_opts():
        assert all(option.help and option.help.endswith((".", "]")) for option in options), options
