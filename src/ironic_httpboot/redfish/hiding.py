"""Keeps secrets out of texts: passwords, tokens, and the paths of boot URLs, in whatever spelling a BMC repeats them.

Knows percent-encoding and the escapes of JSON. Refuses to know where a text goes. A text is cut after it went through
here, never before: half a secret is not recognised.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

_HIDDEN = "***"
_SHORT = 4
"""A secret of fewer characters is hidden as a word of its own alone: within words it would make others unreadable."""
_TELLING = 16
"""A folder of a URL that is as long as this is hidden without its slashes too: it is no word that is used elsewhere."""
_LONGEST_SPELT = 2000
_REST_OF_URL = r"[^\s\"'<>,;)\]}]*"


class Hiding:
    """Secrets, and texts without them."""

    def __init__(self) -> None:
        self._patterns: list[re.Pattern[str]] = []

    def add(self, secret: str) -> None:
        """Hide a secret from now on; of a URL also its folders, its query, and what begins as it does."""
        for pattern in _of_url(secret) if "://" in secret else _of_word(secret):
            self._patterns.append(re.compile(pattern))

    def scrub(self, text: str) -> str:
        """A text without the secrets."""
        for pattern in self._patterns:
            text = pattern.sub(_HIDDEN, text)
        return text


def _of_word(secret: str) -> Iterator[str]:
    if len(secret) >= _SHORT:
        yield _spelt(secret)
    elif secret:
        yield rf"(?<!\w){_spelt(secret)}(?!\w)"


def _of_url(url: str) -> Iterator[str]:
    yield _spelt(url)
    try:
        parts = urlsplit(url)
    except ValueError:
        return
    # A BMC may have cut it, or have added to it.
    yield f"(?i:{_spelt(f'{parts.scheme}://{parts.netloc}')}[/\\\\%]{_REST_OF_URL})"
    folders = parts.path[: parts.path.rfind("/") + 1]
    if len(folders) > 1:
        yield _spelt(folders)
    for word in (*folders.split("/"), parts.query):
        if len(word) >= (_SHORT if word == parts.query else _TELLING):
            yield _spelt(word)


def _spelt(secret: str) -> str:
    """A pattern for a secret, each character as it is, escaped, or percent-encoded."""
    if len(secret) > _LONGEST_SPELT:
        return re.escape(secret)
    return "".join(_character(each) for each in secret)


def _character(character: str) -> str:
    percent = "".join(f"%{byte:02x}" for byte in character.encode("utf-8", "surrogatepass"))
    units = character.encode("utf-16-be", "surrogatepass").hex()
    escaped = "".join(rf"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))
    return rf"(?:\\*{re.escape(character)}|(?i:{percent}|{escaped}))"
