"""What a BMC says when it does not grant a request: the messages of the Base registry, and some of vendors.

Knows their words, severities and resolutions (Base registry 1.18, DSP8011). Refuses to know when they are due.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

_BASE = "Base.1.18."


@dataclass(frozen=True, slots=True)
class _Row:
    text: str
    resolution: str
    severity: str = "Warning"


_NONE_NEEDED = "None."
_CORRECT_BODY = "Ensure that the request body is valid JSON and resubmit the request."
_ROWS = {
    "ActionParameterMissing": _Row(
        "The action %1 requires the parameter %2 to be present in the request body.",
        "Supply the action with the required parameter in the request body when the request is resubmitted.",
        "Critical",
    ),
    "ActionParameterNotSupported": _Row(
        "The parameter %1 for the action %2 is not supported on the target resource.",
        "Remove the parameter supplied and resubmit the request if the operation failed.",
    ),
    "ActionParameterValueFormatError": _Row(
        "The value '%1' for the parameter %2 in the action %3 is of a different format than the parameter can accept.",
        "Correct the value for the parameter in the request body and resubmit the request if the operation failed.",
    ),
    "ActionParameterValueNotInList": _Row(
        "The value '%1' for the parameter %2 in the action %3 is not in the list of acceptable values.",
        "Choose a value from the enumeration list and resubmit the request if the operation failed.",
    ),
    "CouldNotEstablishConnection": _Row(
        "The service failed to establish a connection with the URI '%1'.",
        "Ensure that the URI contains a valid and reachable node name, protocol information and other URI components.",
        "Critical",
    ),
    "GeneralError": _Row(
        "A general error has occurred. See Resolution for information on how to resolve the error.",
        _NONE_NEEDED,
        "Critical",
    ),
    "InternalError": _Row(
        "The request failed due to an internal service error. The service is still operational.",
        "Resubmit the request. If the problem persists, consider resetting the service.",
        "Critical",
    ),
    "MalformedJSON": _Row(
        "The request body submitted was malformed JSON and could not be parsed by the receiving service.",
        _CORRECT_BODY,
        "Critical",
    ),
    "InsufficientPrivilege": _Row(
        "There are insufficient privileges for the account or credentials associated with the current session to"
        " perform the requested operation.",
        "Either abandon the operation or change the associated access rights and resubmit the request if the operation"
        " failed.",
        "Critical",
    ),
    "NoValidSession": _Row(
        "There is no valid session established with the implementation.",
        "Establish a session before attempting any operations.",
        "Critical",
    ),
    "OperationNotAllowed": _Row(
        "The HTTP method is not allowed on this resource.",
        "None. The HTTP response to an OPTIONS request or the Allow header lists the methods that are allowed.",
        "Critical",
    ),
    "PreconditionFailed": _Row(
        "The ETag supplied did not match the ETag required to change this resource.",
        "Try the operation again using the appropriate ETag.",
        "Critical",
    ),
    "PreconditionRequired": _Row(
        "A precondition header or annotation is required to change this resource.",
        "Try the operation again using an If-Match header and appropriate ETag.",
        "Critical",
    ),
    "PropertyMissing": _Row(
        "The property %1 is a required property and must be included in the request.",
        "Ensure that the property is in the request body and has a valid value and resubmit the request.",
    ),
    "PropertyNotWritable": _Row(
        "The property %1 is a read-only property and cannot be assigned a value.",
        "Remove the property from the request body and resubmit the request if the operation failed.",
    ),
    "PropertyUnknown": _Row(
        "The property %1 is not in the list of valid properties for the resource.",
        "Remove the unknown property from the request body and resubmit the request if the operation failed.",
    ),
    "PropertyValueConflict": _Row(
        "The property '%1' could not be written because its value would conflict with the value of the '%2' property.",
        "No resolution is required.",
    ),
    "PropertyValueFormatError": _Row(
        "The value '%1' for the property %2 is of a different format than the property can accept.",
        "Correct the value for the property in the request body and resubmit the request if the operation failed.",
    ),
    "PropertyValueNotInList": _Row(
        "The value '%1' for the property %2 is not in the list of acceptable values.",
        "Choose a value from the enumeration list and resubmit the request if the operation failed.",
    ),
    "PropertyValueTypeError": _Row(
        "The value '%1' for the property %2 is of a different type than the property can accept.",
        "Correct the value for the property in the request body and resubmit the request if the operation failed.",
    ),
    "ResourceAtUriUnauthorized": _Row(
        "While accessing the resource at '%1', the service received an authorization error '%2'.",
        "Ensure that the appropriate access is provided for the service in order for it to access the URI.",
        "Critical",
    ),
    "ResourceInUse": _Row(
        "The change to the requested resource failed because the resource is in use or in transition.",
        "Remove the condition and resubmit the request if the operation failed.",
    ),
    "ResourceMissingAtURI": _Row(
        "The resource at the URI '%1' was not found.",
        "Place a valid resource at the URI or correct the URI and resubmit the request.",
        "Critical",
    ),
    "ResourceNotFound": _Row(
        "The requested resource of type %1 named '%2' was not found.",
        "Provide a valid resource identifier and resubmit the request.",
        "Critical",
    ),
    "ServiceTemporarilyUnavailable": _Row(
        "The service is temporarily unavailable. Retry in %1 seconds.",
        "Wait for the indicated retry duration and retry the operation.",
        "Critical",
    ),
    "StringValueTooLong": _Row(
        "The string '%1' exceeds the length limit %2.",
        "Resubmit the request with an appropriate string length.",
    ),
    # HPE iLO 5: libredfish#76, gofish#507
    "iLO.2.19.PropertyNotWritableOrUnknown": _Row(
        "The property %1 was either not writable or unknown.",
        "Remove the property and resubmit.",
    ),
    "iLO.2.19.PropertyValueIncompatible": _Row(
        "The value '%1' for the property %2 is incompatible with the value of the property %3.",
        "Correct one of the values and resubmit.",
    ),
    "iLO.2.19.UnableToModifyDuringSystemPOST": _Row(
        "Unable to modify the resource while the system is in POST.",
        "Wait until the system is out of POST, or switch it off, and resubmit.",
    ),
    # AMI MegaRAC: Redfish-Tacklebox#111, #144
    "Ami.1.0.OperationSupportedInFutureStateURI": _Row(
        "The operation on %1 is supported by its future state URI only.",
        "Send the request to the URI of the settings object.",
    ),
}


def error_body(message_id: str, *arguments: str, related: Sequence[str] = (), said: str = "") -> dict[str, Any]:
    """The body of an error (DSP0266 §8.6). message_id: of the Base registry where it names none.

    related: JSON pointers into the request. said: stands instead of the registry's own words.
    """
    row = _ROWS[message_id]
    text = row.text
    for number, argument in enumerate(arguments, 1):
        text = text.replace(f"%{number}", argument)
    full = message_id if "." in message_id else f"{_BASE}{message_id}"
    info: dict[str, Any] = {
        "@odata.type": "#Message.v1_2_0.Message",
        "MessageId": full,
        "Message": said or text,
        "MessageArgs": list(arguments),
        "MessageSeverity": row.severity,
        "Severity": row.severity,
        "Resolution": row.resolution,
    }
    if related:
        info["RelatedProperties"] = list(related)
    return {"error": {"code": full, "message": said or text, "@Message.ExtendedInfo": [info]}}
