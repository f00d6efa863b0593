"""Errors of server requests: a kind for the program and a message for the user."""

from __future__ import annotations

UNREACHABLE = "unreachable"
"""No server listens at the address."""
ADDRESS = "address"
"""The address is malformed."""
TIMEOUT = "timeout"
"""The server accepted the request but does not respond."""
CUT_SHORT = "cut_short"
"""The connection was lost before the response was complete."""
CANCELLED = "cancelled"
"""Cancelled by the user."""
LOGIN = "login"
"""401: no valid token."""
FORBIDDEN = "forbidden"
"""403: the token's role does not suffice, or the server does not accept this host name."""
REFUSED = "refused"
"""400 and other 4xx: the server does not accept the request."""
UNREADABLE = "unreadable"
"""415: the image cannot be read."""
NO_SPINE = "no_spine"
"""422: the image shows no spine."""
NOT_FOUND = "not_found"
"""404: no such image, label, model or session."""
TAKEN = "taken"
"""409: an image of that name, or a newer label, exists."""
TOO_LARGE = "too_large"
"""413: the file exceeds the server's limit."""
BUSY = "busy"
"""429 and 503: try again later."""
FAILED = "failed"
"""5xx, or an internal error of this module."""
BAD_RESPONSE = "bad_response"
"""The response has unexpected content."""
WRONG_APP = "wrong_app"
"""A MONAI Label server with another app."""
SCHEMA = "schema"
"""Server and module use different versions of the landmark schema."""


class ServerError(Exception):
    """A request failed.

    Args:
        kind: one of the constants above.
        message: for the user: what happened and what to do, in one or two sentences.
        detail: for maintainers, or the server's own message.
    """

    def __init__(self, kind: str, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.kind, self.message, self.detail = kind, message, detail


def is_connection_error(error: ServerError) -> bool:
    """Whether the server is unreachable, so that any other request would fail too."""
    return error.kind in (UNREACHABLE, TIMEOUT, CUT_SHORT)


_BY_STATUS = {
    400: (REFUSED, "The server did not accept this{why}"),
    401: (LOGIN, "The server requires a valid token. Enter yours under Connection and connect again."),
    403: (FORBIDDEN, "You are not allowed to do this{why} Ask the server's administrator."),
    404: (NOT_FOUND, "The server does not have this{why} Refresh the list of images."),
    408: (TIMEOUT, "The server did not receive all of the data in time. Try again."),
    409: (TAKEN, "The server already has an image of this name. Choose another name."),
    413: (
        TOO_LARGE,
        "The file is larger than the server accepts{why} Ask its administrator to allow larger files.",
    ),
    415: (UNREADABLE, "The server cannot read this image{why} Try another format, such as PNG or DICOM."),
    422: (
        NO_SPINE,
        "No spine was found in this image. Check that it is a frontal spine radiograph, or place points by hand.",
    ),
    429: (BUSY, "The server is busy with this already{why} Wait a moment and try again."),
    503: (BUSY, "The server cannot do this now{why} Wait a moment and try again."),
    507: (FAILED, "The server's disk is full; nothing was stored. Tell its administrator."),
}
_OTHER_4XX = (REFUSED, "The server did not accept this{why}")
_OTHER_3XX = (BAD_RESPONSE, "The server redirects to another address. Check the server's address.")
_OTHER = (FAILED, "An internal error occurred on the server{why} Try again; if it persists, tell its administrator.")


def error_of_status(status: int, detail: str = "") -> ServerError:
    """The error for an HTTP status.

    Args:
        status: 300 or above.
        detail: the server's own message, if any.
    """
    other = _OTHER_3XX if status < 400 else _OTHER_4XX if status < 500 else _OTHER
    kind, sentence = _BY_STATUS.get(status, other)
    why = f": {detail.rstrip('.')}." if detail else "."
    return ServerError(kind, sentence.replace("{why}", why), detail or f"HTTP status {status}")
