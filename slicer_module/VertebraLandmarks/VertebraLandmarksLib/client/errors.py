"""What can go wrong between this module and the server: a kind for the program, a sentence for the person."""

from __future__ import annotations

UNREACHABLE = "unreachable"
"""Nobody answers at the address."""
ADDRESS = "address"
"""The address is none."""
TIMEOUT = "timeout"
"""The server took the request and went silent."""
CUT_SHORT = "cut_short"
"""The connection broke off before the answer was complete."""
CANCELLED = "cancelled"
"""The person did not want to wait any longer."""
LOGIN = "login"
"""401: no valid token."""
FORBIDDEN = "forbidden"
"""403: the token's role does not suffice, or the server does not answer under this name."""
REFUSED = "refused"
"""400 and the like: the server does not take what was sent."""
UNREADABLE = "unreadable"
"""415: the image cannot be read."""
NO_SPINE = "no_spine"
"""422: the image shows no spine."""
NOT_FOUND = "not_found"
"""404: no such image, label, model or session."""
TAKEN = "taken"
"""409: there is an image of that name."""
TOO_LARGE = "too_large"
"""413: the file is larger than the server takes."""
BUSY = "busy"
"""429 and 503: not now."""
FAILED = "failed"
"""500 and the like: the server, or this module, made a mistake."""
BAD_RESPONSE = "bad_response"
"""The answer is not what was asked for."""
WRONG_APP = "wrong_app"
"""A MONAI Label server, but with another app."""
SCHEMA = "schema"
"""The server means other points than this module."""


class ServerError(Exception):
    """Something did not work that has to do with the server.

    Args:
        kind: one of the constants above.
        message: one or two sentences that a clinician understands: what happened, and what to do.
        detail: the server's own sentence, or what a maintainer needs to know.
    """

    def __init__(self, kind: str, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.kind, self.message, self.detail = kind, message, detail


def is_connection_error(error: ServerError) -> bool:
    """Whether the server itself is out of reach, so that every other request would fail too."""
    return error.kind in (UNREACHABLE, TIMEOUT, CUT_SHORT)


_BY_STATUS = {
    400: (REFUSED, "The server did not accept this{why}"),
    401: (LOGIN, "The server wants a valid token. Enter yours under Connection and connect again."),
    403: (FORBIDDEN, "You are not allowed to do this{why} Ask whoever runs the server."),
    404: (NOT_FOUND, "The server does not have this{why} Refresh the list of images."),
    408: (TIMEOUT, "The server did not get all of the data in time. Try again."),
    409: (TAKEN, "The server has an image of this name already. Choose another name."),
    413: (
        TOO_LARGE,
        "The file is larger than the server takes{why} Ask whoever runs the server to allow larger files.",
    ),
    415: (UNREADABLE, "The server cannot read this image{why} Try another format, such as PNG or DICOM."),
    422: (
        NO_SPINE,
        "No spine was found in this image. Check that it is a frontal spine film, or place points by hand.",
    ),
    429: (BUSY, "The server is busy with this already{why} Wait a moment and try again."),
    503: (BUSY, "The server is too busy. Wait a moment and try again."),
    507: (FAILED, "The server's disk is full; nothing was stored. Tell whoever runs the server."),
}
_OTHER_4XX = (REFUSED, "The server did not accept this{why}")
_OTHER_3XX = (BAD_RESPONSE, "The address leads elsewhere. Check the server's address.")
_OTHER = (FAILED, "The server made a mistake{why} Try again; if it stays, tell whoever runs the server.")


def error_of_status(status: int, detail: str = "") -> ServerError:
    """The error that an HTTP status stands for.

    Args:
        status: 300 or above.
        detail: the server's own sentence, if it gave one.
    """
    other = _OTHER_3XX if status < 400 else _OTHER_4XX if status < 500 else _OTHER
    kind, sentence = _BY_STATUS.get(status, other)
    why = f": {detail.rstrip('.')}." if detail else "."
    return ServerError(kind, sentence.replace("{why}", why), detail or f"HTTP status {status}")
