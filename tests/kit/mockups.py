"""The BMCs of tests/golden/bmc, made by hand: resources that can be read, and a script that lets them be changed."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ironic_httpboot.redfish.resources import Resource
from kit.scripted import Asked, Say

FOLDER = Path(__file__).parents[1] / "golden" / "bmc"
NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))


@dataclass(frozen=True, slots=True)
class Mockup:
    """One BMC. system: the path of its only system. resources: path → etag and body."""

    system: str
    resources: Mapping[str, Mapping[str, Any]]
    asked: list[str]

    def find(self, path: str) -> Resource | None:
        """Read a resource as the client's own session does."""
        self.asked.append(path)
        found = self.resources.get(path)
        return None if found is None else Resource(path=path, etag=found["etag"], body=found["body"])

    def read(self, path: str) -> Resource:
        found = self.find(path)
        assert found is not None, f"{path} is not there"
        return found


def mockup(name: str) -> Mockup:
    """A BMC as it was written down."""
    held = json.loads((FOLDER / f"{name}.json").read_text())
    return Mockup(held["system"], held["resources"], [])


class Obliging:
    """A script for a `ScriptedBmc`: it merges every change into what was written down, and switches at once.

    resources: as they stand. resets: in order.
    """

    def __init__(self, name: str) -> None:
        found = mockup(name)
        self.system = found.system
        self.resources: dict[str, dict[str, Any]] = copy.deepcopy(dict(found.resources))  # type: ignore[arg-type]
        self.resets: list[str] = []

    def __call__(self, asked: Asked) -> Say:
        if asked.method == "POST":
            self.resets.append(asked.body["ResetType"])
            self.resources[self.system]["body"]["PowerState"] = "On"
            return Say(204)
        held = self.resources.get(asked.path)
        if held is None:
            return Say(404)
        if asked.method == "PATCH":
            if asked.headers.get("if-match") not in (held["etag"], None):
                return Say(412)
            for part in ("Boot", "Attributes"):
                held["body"].get(part, {}).update(asked.body.get(part, {}))
            return Say(204)
        return Say(200, held["body"], {"ETag": held["etag"]} if held["etag"] else {})
