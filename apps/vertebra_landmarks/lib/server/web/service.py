"""What the routes share: the app, the lanes for slow work, and the files that clients send."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.responses import JSONResponse
from monailabel.config import settings
from monailabel.interfaces.app import MONAILabelApp

from ..config import ServerConfig
from ..models import FOLDER
from ..presence import Presence
from .auth import User
from .guard import user_of
from .kept_sessions import Sessions
from .lanes import Lane
from .task_board import TaskBoard
from .uploads import Uploads

UPLOADS, SESSIONS = ".uploads", "sessions"
"""Folder below the studies for what clients send, and the one in it that all servers of the studies share."""
MEGABYTE = 1_000_000
SESSIONS_TO_UPLOADS = 8
"""Bytes of all sessions together, in largest uploads."""


@dataclass(frozen=True)
class Service:
    """What the routes work with.

    Attributes:
        app: MONAI Label's app.
        config: settings of the server.
        presence: by which other servers of the studies see that this one lives.
        uploads: where files of clients are kept for a moment.
        sessions: images that clients sent once to ask about them often.
        board: training and other tasks of all servers of the studies.
        inferring: requests that wait for landmarks; the app itself finds them one image at a time.
        filing: reading and writing images and labels.
        working: training, scoring and whole folders, when the client wants to wait for the end.
    """

    app: MONAILabelApp
    config: ServerConfig
    presence: Presence
    uploads: Uploads
    sessions: Sessions
    board: TaskBoard
    inferring: Lane = field(default_factory=lambda: Lane("landmarks", workers=64, places=64))
    filing: Lane = field(default_factory=lambda: Lane("files", workers=2, places=128))
    working: Lane = field(default_factory=lambda: Lane("a long task", workers=1, places=1))

    def close(self) -> None:
        """Leave nothing behind that only a running server needs."""
        self.board.close()
        self.presence.close()


def make_service(app: MONAILabelApp, config: ServerConfig) -> Service:
    """The service of an app that was just loaded."""
    studies = Path(app.studies)
    presence = Presence(studies / UPLOADS, studies / FOLDER, (SESSIONS,))
    uploads = Uploads(presence.folder)
    most_bytes = SESSIONS_TO_UPLOADS * config.max_upload_mb * MEGABYTE
    holding, kept = app.datastore().holding, studies / UPLOADS / SESSIONS
    sessions = Sessions(holding, kept, uploads, most_bytes, settings.MONAI_LABEL_SESSION_EXPIRY)
    return Service(app, config, presence, uploads, sessions, TaskBoard(presence, holding))


async def _service_of(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


async def _user_of(request: Request) -> User:
    return user_of(request)


Served = Annotated[Service, Depends(_service_of)]
Asking = Annotated[User, Depends(_user_of)]


class Json(JSONResponse):
    """JSON in ASCII, since names may hold characters that no encoding knows."""

    def render(self, content: Any) -> bytes:
        """The bytes of the answer."""
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode()
