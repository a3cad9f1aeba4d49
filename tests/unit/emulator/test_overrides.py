"""The Boot object: its BMC's values only, and the boot order of entries that are there."""

from __future__ import annotations

import pytest

from ironic_httpboot.emulator.overrides import change, show
from ironic_httpboot.emulator.personalities import STANDARD
from ironic_httpboot.emulator.state import Override, Refusal
from kit.bmc import one

SYSTEM = one("standard").systems["a"]


def test_what_is_shown_can_be_given_back() -> None:
    shown = show(SYSTEM, STANDARD.system, Override())
    given = {name: value for name, value in shown.items() if "@" not in name}
    assert change(SYSTEM, STANDARD.system, Override(), given).override == Override()


@pytest.mark.parametrize("boot", [7, {"BootOrder": "Boot0001"}, {"BootOrder": ["Boot0001"]}, {"BootNext": "Boot0001"}])
def test_what_does_not_fit_is_refused(boot: object) -> None:
    with pytest.raises(Refusal):
        change(SYSTEM, STANDARD.system, Override(), boot)
