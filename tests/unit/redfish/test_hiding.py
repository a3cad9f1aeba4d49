"""What is secret is in no text, however a BMC spells it or cuts it, and what is not secret stays readable."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest

from ironic_httpboot.redfish.hiding import Hiding

URL = "http://192.0.2.1:8080/s3cr3t/x.iso?key=0pen"


def hiding(*secrets: str) -> Hiding:
    made = Hiding()
    for secret in secrets:
        made.add(secret)
    return made


@pytest.mark.parametrize(
    "said",
    [
        f"bad {URL}",
        f"bad {URL[:-8]}",
        f"bad {URL[:26]}",
        f"bad {URL.upper()}",
        "bad http%3A%2F%2F192.0.2.1:8080%2Fs3cr3t%2Fx.iso",
        quote(URL, safe=""),
        quote(URL, safe="").lower(),
        URL.replace("/", r"\/"),
        json.dumps({"Uri": URL}).replace("/", r"\u002f"),
        "the value '/s3cr3t/x.iso' is bad",
        "no such folder: %2Fs3cr3t%2F",
        "?key=0pen",
    ],
)
def test_a_url_is_hidden_in_every_spelling(said: str) -> None:
    shown = hiding(URL).scrub(said)
    assert not any(piece in shown.lower() for piece in ("s3cr", "0pen")), shown


@pytest.mark.parametrize("spelt", [str, json.dumps, lambda text: quote(text, safe="")])
@pytest.mark.parametrize("password", ["correct horse", 'qu"ote/\\d', "p\u20ac\U0001f600w"])
def test_a_password_is_hidden_in_every_spelling(password: str, spelt: object) -> None:
    assert callable(spelt)
    shown = hiding(password).scrub(f"not {spelt(password)}!")
    assert shown in ("not ***!", "not '***'!", 'not "***"!')


def test_a_short_secret_is_hidden_where_it_is_a_word_and_makes_nothing_unreadable() -> None:
    assert hiding("s").scrub("POST /redfish/v1/Sessions: Password is s") == "POST /redfish/v1/Sessions: Password is ***"


def test_what_is_not_secret_stays() -> None:
    said = "PATCH /redfish/v1/Systems/1 → 400 PropertyNotWritable [Boot/HttpBootUri] of http://192.0.2.9/else"
    assert hiding(URL, "correct horse", "http://192.0.2.1/x.iso", "").scrub(said) == said
