"""Dependencies of the routes: the service with its parts, and the user of a request."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import unquote

from anyio import CapacityLimiter
from fastapi import Depends, Request
from fastapi.responses import JSONResponse
from monailabel.config import settings
from monailabel.interfaces.app import MONAILabelApp

from ... import __version__
from ..annotation.presence import Presence
from ..annotation.readings.agreement import StudyAgreement
from ..annotation.readings.gate import Gate
from ..annotation.readings.study import Study
from ..config import ServerConfig
from ..models import FOLDER
from ..overview.study_overview import Overview
from ..worker_registry import SESSIONS, UPLOADS, WorkerRegistry
from .auth import ANYBODY, User
from .request_guard import user_of
from .session_store import SessionStore
from .task_registry import TaskRegistry
from .uploads import Uploads
from .worker_pool import WorkerPool

MEGABYTE = 1_000_000
STATED_USER = "X-User"
"""Header by which a client without a login says who works there, percent-encoded; ``user`` of the query is the same."""
SESSIONS_TO_UPLOADS = 8
"""Limit of all sessions together, in multiples of the largest upload."""


@dataclass(frozen=True)
class Service:
    """Everything that the routes use.

    Attributes:
        app: MONAI Label's app.
        config: settings of the server.
        worker_registry: registers this server process among those of the studies.
        uploads: temporary storage of uploaded files.
        sessions: images that clients sent once for many requests.
        task_registry: training and other tasks of all servers of the studies.
        overview: lists, thumbnails and statistics of the images.
        presence: who has an image open.
        study: plan, readings, and what is hidden from whom.
        agreement: of the readings.
        inference_pool: requests that wait for the inference queue.
        io_pool: reading and writing of images, which takes the processor a while.
        label_pool: labels, presence and the choice of the next image, which must not wait for images.
        thumbnail_pool: making of thumbnails, so that nothing else waits for them.
        report_pool: drawing of reports, and follow-ups.
        agreement_pool: comparing all readings of a study, which takes long where many have changed.
        health_limiter: threads of the check of health, since those of the requests may hang on the same disk.
        long_task_pool: synchronous training, scoring and batches.
    """

    app: MONAILabelApp
    config: ServerConfig
    worker_registry: WorkerRegistry
    uploads: Uploads
    sessions: SessionStore
    task_registry: TaskRegistry
    overview: Overview
    presence: Presence
    study: Study
    agreement: StudyAgreement
    inference_pool: WorkerPool = field(default_factory=lambda: WorkerPool("landmarks", workers=64, capacity=64))
    io_pool: WorkerPool = field(default_factory=lambda: WorkerPool("files", workers=2, capacity=128))
    label_pool: WorkerPool = field(default_factory=lambda: WorkerPool("labels", workers=4, capacity=128))
    thumbnail_pool: WorkerPool = field(default_factory=lambda: WorkerPool("thumbnails", workers=1, capacity=256))
    report_pool: WorkerPool = field(default_factory=lambda: WorkerPool("reports", workers=1, capacity=32))
    agreement_pool: WorkerPool = field(default_factory=lambda: WorkerPool("agreement", workers=1, capacity=8))
    health_limiter: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(4))
    long_task_pool: WorkerPool = field(default_factory=lambda: WorkerPool("a long task", workers=1, capacity=1))

    def close(self) -> None:
        """Remove what only a running server needs."""
        self.task_registry.close()
        self.worker_registry.close()


def make_service(app: MONAILabelApp, config: ServerConfig) -> Service:
    """The service of a newly loaded app."""
    studies = Path(app.studies)
    registry = WorkerRegistry(studies / UPLOADS, studies / FOLDER, (SESSIONS,))
    uploads = Uploads(registry.folder)
    max_bytes = SESSIONS_TO_UPLOADS * config.max_upload_mb * MEGABYTE
    context, folder = app.datastore().context, studies / UPLOADS / SESSIONS
    sessions = SessionStore(context, folder, uploads, max_bytes, settings.MONAI_LABEL_SESSION_EXPIRY)
    overview = Overview(app.datastore(), Path(app.studies) / FOLDER)
    has_login = config.tokens is not None or settings.MONAI_LABEL_AUTH_ENABLE
    study = Study(app.datastore(), app.read_image, has_login)
    tasks = TaskRegistry(registry, context)
    agreement = StudyAgreement(app.datastore(), __version__)
    return Service(app, config, registry, uploads, sessions, tasks, overview, Presence(context), study, agreement)


async def _service_of(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


async def _user_of(request: Request) -> User:
    return user_of(request)


ServiceDep = Annotated[Service, Depends(_service_of)]
CurrentUser = Annotated[User, Depends(_user_of)]


async def _gate_of(request: Request, service: ServiceDep, user: CurrentUser) -> Gate:
    stated = unquote(request.headers.get(STATED_USER, "")) or request.query_params.get("user", "")
    return service.study.gate(stated.strip() if user == ANYBODY else user.name)


CurrentGate = Annotated[Gate, Depends(_gate_of)]
"""What the user of a request may see of labels."""


class Json(JSONResponse):
    """ASCII JSON, since image names may hold characters without an encoding."""

    def render(self, content: Any) -> bytes:
        """Body of the response."""
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode()
