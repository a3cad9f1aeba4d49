"""The values of a BMC."""

from __future__ import annotations

import pytest

from ironic_httpboot.emulator.state import (
    Account,
    Call,
    Override,
    Refusal,
    Request,
    Session,
    collection,
)
from kit.bmc import OPEN

URI = "http://192.0.2.1/s3cr3t/x.iso"


def test_a_collection_counts_and_links_its_members() -> None:
    body = collection("/x", "Thing", ["a", "b"])
    assert body["Members@odata.count"] == 2
    assert [member["@odata.id"] for member in body["Members"]] == ["/x/a", "/x/b"]


def test_a_refusal_carries_redfishs_own_words() -> None:
    answer = Refusal(404, "ResourceNotFound", "ComputerSystem", "c").answer
    assert answer.body is not None
    assert answer.body["error"]["@Message.ExtendedInfo"][0]["MessageId"] == "Base.1.18.ResourceNotFound"


def test_a_body_that_is_no_object_is_refused() -> None:
    call = Call(state=OPEN, request=Request(method="PATCH", path="/", body=[1]), now=0, fresh_token="t")
    with pytest.raises(Refusal, match="malformed JSON"):
        call.object()


def test_secrets_are_not_in_what_is_printed() -> None:
    values = (
        Account(username="a", password="s3cr3t"),
        Session(id="1", token="s3cr3t", username="a", used_at=0),
        Override(uri=URI),
        Request(method="GET", path="/", headers={"x-auth-token": "s3cr3t"}, body={"Password": "s3cr3t"}),
    )
    assert "s3cr3t" not in repr(values)
