"""The values of a BMC."""

from __future__ import annotations

import pytest

from ironic_httpboot.emulator.state import (
    Account,
    Call,
    Enabled,
    Override,
    Refusal,
    Request,
    Session,
    Target,
    collection,
    etag_of,
)
from kit.bmc import OPEN

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


def test_equal_bodies_have_equal_etags_and_others_have_others() -> None:
    assert etag_of({"a": 1, "b": 2}) == etag_of({"b": 2, "a": 1})
    assert etag_of({"a": 1}) != etag_of({"a": 2})
    assert etag_of({}).startswith('"')


def test_a_collection_counts_and_links_its_members() -> None:
    body = collection("/x", "Thing", ["a", "b"])
    assert body["Members@odata.count"] == 2
    assert [member["@odata.id"] for member in body["Members"]] == ["/x/a", "/x/b"]


def test_a_refusal_carries_redfishs_own_words() -> None:
    answer = Refusal(404, "ResourceNotFound", "There is none.").answer
    assert answer.body is not None
    assert answer.body["error"]["@Message.ExtendedInfo"][0]["MessageId"] == "Base.1.18.ResourceNotFound"


def test_a_body_that_is_no_object_is_refused() -> None:
    call = Call(state=OPEN, request=Request(method="PATCH", path="/", body=[1]), now=0, fresh_token="t")
    with pytest.raises(Refusal, match="not a JSON object"):
        call.object()


def test_secrets_are_not_in_what_is_printed() -> None:
    values = (
        Account(username="a", password="s3cr3t"),
        Session(id="1", token="s3cr3t", username="a", used_at=0),
        Override(uri=URI),
        Request(method="GET", path="/", headers={"x-auth-token": "s3cr3t"}, body={"Password": "s3cr3t"}),
    )
    assert "s3cr3t" not in repr(values)
