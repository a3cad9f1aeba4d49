"""The boot override: when it counts, and what is left of it after a boot."""

from __future__ import annotations

import pytest

from ironic_httpboot.emulator.kept import Enabled, Kept, Override, Target

URI = "http://192.0.2.1/s3cr3t/x.iso"


def test_once_is_consumed_and_continuous_is_not() -> None:
    once = Override(enabled=Enabled.ONCE, target=Target.UEFI_HTTP, uri=URI)
    assert once.consumed() == Override(uri=URI)
    always = Override(enabled=Enabled.CONTINUOUS, target=Target.UEFI_HTTP, uri=URI)
    assert always.consumed() == always


@pytest.mark.parametrize("enabled", list(Enabled))
@pytest.mark.parametrize("target", list(Target))
def test_only_an_enabled_uefi_http_boots_over_http(enabled: Enabled, target: Target) -> None:
    expected = enabled is not Enabled.DISABLED and target is Target.UEFI_HTTP
    assert Override(enabled=enabled, target=target).boots_http is expected


@pytest.mark.parametrize("target", [target for target in Target if target is not Target.NONE])
def test_each_target_is_consumed_alike_and_the_rest_is_kept(target: Target) -> None:
    kept = Kept(override=Override(enabled=Enabled.ONCE, target=target, uri=URI), bios={"A": "b"})
    assert kept.override.is_set
    after = kept.consumed()
    assert not after.override.is_set
    assert (after.override.uri, after.bios) == (URI, {"A": "b"})
