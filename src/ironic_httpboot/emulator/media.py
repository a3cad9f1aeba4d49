"""Virtual media: the one CD drive of each machine, below its system and below its manager.

Knows `VirtualMedia` (DSP2046). Refuses to know how an image is fetched: that is an effect.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from ironic_httpboot.emulator import etags
from ironic_httpboot.emulator.kept import Medium, Target
from ironic_httpboot.emulator.state import (
    ROOT,
    Answer,
    Call,
    EjectMedium,
    InsertMedium,
    Json,
    Outcome,
    Refusal,
    SystemState,
    collection,
)

DRIVE = "Cd"
_INSERT = "VirtualMedia.InsertMedia"
_TAKEN = {"Image", "Inserted", "WriteProtected", "TransferMethod", "TransferProtocolType", "MediaType"}


def members(call: Call) -> Outcome:
    """GET the collection."""
    drives = [DRIVE] if _has_drive(call.system) else []
    return call.answer(200, collection(_folder(call), "VirtualMedia", drives))


def read(call: Call) -> Outcome:
    """GET the drive. Raises Refusal."""
    return call.answer(200, _body(call, _drive(call)))


def patch(call: Call) -> Outcome:
    """PATCH the drive: an image is put in, null takes it out. Raises Refusal."""
    system = _drive(call)
    etags.check(call, _body(call, system))
    asked = call.object()
    for name in asked.keys() - _TAKEN:
        raise Refusal(400, "PropertyUnknown", name, related=[f"#/{name}"])
    if asked.get("Image") is None or asked.get("Inserted") is False:
        return _effect(call, EjectMedium(system_id=system.id))
    return _effect(call, InsertMedium(system_id=system.id, image=_image(system, asked["Image"])))


def insert(call: Call) -> Outcome:
    """POST an image. Raises Refusal."""
    system, asked = _drive(call), call.object()
    for name in asked.keys() - _TAKEN:
        raise Refusal(400, "ActionParameterNotSupported", name, _INSERT, related=[f"#/{name}"])
    if "Image" not in asked:
        raise Refusal(400, "ActionParameterMissing", _INSERT, "Image", related=["#/Image"])
    if asked.get("WriteProtected") is False:
        raise Refusal(
            400, "ActionParameterValueNotInList", "false", "WriteProtected", _INSERT, related=["#/WriteProtected"]
        )
    return _effect(call, InsertMedium(system_id=system.id, image=_image(system, asked["Image"])))


def eject(call: Call) -> Outcome:
    """POST the wish to have it out. Raises Refusal."""
    return _effect(call, EjectMedium(system_id=_drive(call).id))


def _has_drive(system: SystemState) -> bool:
    return Target.CD in system.targets


def _drive(call: Call) -> SystemState:
    if call.member != DRIVE or not _has_drive(call.system):
        raise Refusal(404, "ResourceNotFound", "VirtualMedia", call.member)
    return call.system


def _folder(call: Call) -> str:
    kind = "Managers" if call.request.path.startswith(f"{ROOT}/Managers/") else "Systems"
    return f"{ROOT}/{kind}/{call.system.id}/VirtualMedia"


def _body(call: Call, system: SystemState) -> Json:
    path, medium = f"{_folder(call)}/{DRIVE}", system.kept.medium
    return {
        "@odata.id": path,
        "@odata.type": "#VirtualMedia.v1_6_4.VirtualMedia",
        "Id": DRIVE,
        "Name": "Virtual CD drive",
        "MediaTypes": ["CD", "DVD"],
        "Inserted": medium is not None,
        "Image": None if medium is None else medium.image,
        "ImageName": None if medium is None else _name(medium),
        "ConnectedVia": "NotConnected" if medium is None else "URI",
        "WriteProtected": True,
        "TransferMethod": "Upload",
        "VerifyCertificate": False,
        "Actions": {
            f"#{_INSERT}": {"target": f"{path}/Actions/{_INSERT}"},
            "#VirtualMedia.EjectMedia": {"target": f"{path}/Actions/VirtualMedia.EjectMedia"},
        },
    }


def _name(medium: Medium) -> str:
    return urlsplit(medium.image).path.rpartition("/")[2]


def _image(system: SystemState, value: object) -> str:
    schemes = system.personality.media_schemes
    if not isinstance(value, str) or not value.isprintable() or _scheme(value) not in schemes:
        said = value if isinstance(value, str) else repr(value)
        raise Refusal(400, "ActionParameterValueFormatError", said, "Image", _INSERT, related=["#/Image"])
    return value


def _scheme(image: str) -> str:
    try:
        return urlsplit(image).scheme
    except ValueError:
        return ""


def _effect(call: Call, effect: InsertMedium | EjectMedium) -> Outcome:
    return Outcome(state=call.state, answer=Answer(status=204), effects=(effect,))
