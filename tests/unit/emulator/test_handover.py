"""What a power-on makes of what the BMC keeps."""

from __future__ import annotations

import pytest

from ironic_httpboot.emulator.handover import Wish, attributes, power_on
from ironic_httpboot.emulator.kept import Enabled, Kept, Mode, Override, Target
from ironic_httpboot.emulator.personalities import PERSONALITIES, STANDARD

ONCE = Override(enabled=Enabled.ONCE, target=Target.UEFI_HTTP, uri="http://h/x.iso")


def test_what_waits_takes_effect_and_waits_no_longer() -> None:
    kept = Kept(pending=ONCE, bios_pending={"IPv4HTTPSupport": "Enabled"}, boot_order=("0001",))
    now, wish = power_on(STANDARD, kept)
    assert (now.override, now.pending, now.bios_pending, now.boot_order) == (ONCE, None, {}, ())
    assert now.bios == {"IPv4HTTPSupport": "Enabled"}
    assert wish == Wish(target=Target.UEFI_HTTP, uri=ONCE.uri)


@pytest.mark.parametrize("target", [Target.PXE, Target.CD, Target.HDD])
def test_other_targets_are_handed_over_as_they_are(target: Target) -> None:
    override = Override(enabled=Enabled.CONTINUOUS, target=target, uri="http://h/x.iso")
    assert power_on(STANDARD, Kept(override=override))[1] == Wish(target=target)


def test_a_switch_that_is_off_is_told_as_the_reason() -> None:
    wish = power_on(STANDARD, Kept(override=ONCE, bios={"IPv4HTTPSupport": "Disabled"}))[1]
    assert wish.target is Target.NONE
    assert "IPv4HTTPSupport is Disabled" in wish.trouble


def test_attributes_that_need_a_job_wait_for_it() -> None:
    dell = PERSONALITIES["dell"]
    kept = Kept(bios_pending={"HttpDev1EnDis": "Enabled"})
    now, _ = power_on(dell, kept)
    assert now == kept
    assert attributes(dell, now)["HttpDev1EnDis"] == "Disabled"


def test_the_mode_is_that_of_the_last_start() -> None:
    assert power_on(STANDARD, Kept(override=Override(mode=Mode.LEGACY)))[0].booted_mode is Mode.LEGACY
