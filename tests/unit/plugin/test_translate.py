"""What an operator of Ironic reads of our failures."""

from __future__ import annotations

import pytest
from ironic.common import exception

from ironic_httpboot.errors import BmcError, BmcUnreachable, HostError, HttpBootError, InputError
from ironic_httpboot.plugin.translate import in_words, ironic_errors


@pytest.mark.parametrize(
    ("hint", "said"),
    [
        (None, "GET /1 → 503"),
        ("lower http.connections", "GET /1 → 503 (hint: lower http.connections)"),
        ("ask again later, or give it more with --patience", "GET /1 → 503"),
        ("--system names one of them", "GET /1 → 503"),
        ("a job may wait for the next reset: httpboot clear deletes our own", "GET /1 → 503"),
        ("[httpboot] store must be there", "GET /1 → 503 (hint: [httpboot] store must be there)"),
    ],
)
def test_a_hint_comes_along_unless_it_is_for_the_command_line(hint: str | None, said: str) -> None:
    assert in_words(HttpBootError("GET /1 → 503", hint=hint)) == said


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (InputError, exception.InvalidParameterValue),
        (BmcUnreachable, exception.RedfishConnectionError),
        (BmcError, exception.RedfishError),
        (HostError, exception.ImageCreationFailed),
    ],
)
def test_each_failure_becomes_one_of_ironics_that_says_the_same(
    ours: type[HttpBootError], theirs: type[exception.IronicException]
) -> None:
    with pytest.raises(theirs, match="what was tried → what came back"), ironic_errors():
        raise ours("what was tried → what came back")
