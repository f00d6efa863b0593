"""REST client of the server, usable without Slicer: ``Client(Connection("http://127.0.0.1:8000"))``."""

from __future__ import annotations

import hashlib
import json
import urllib.parse
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Optional, Union

from ..client import responses
from ..spine.image_suffixes import file_stem
from ..spine.labels.markups import SUFFIX
from ..spine.schema import Spine
from .errors import NOT_FOUND, ServerError
from .http import Connection, OnProgress, Response
from .json_fields import as_bool, as_object, as_string, parse_json
from .proposal import PROPOSED, Proposal, parse_proposal
from .radiograph import SERVER, SESSION, Radiograph, parse_radiograph
from .readings import ImageReadings, QueuedImage, parse_image_readings, parse_queue
from .responses import FINAL, MODEL, ImageEntry, LabelInfo, Prediction, ServerInfo, Training
from .sockets import CancelSignal
from .study import NextReading, Reading, Study, parse_next_reading, parse_study, refusal

IMAGE_INFO_HEADER = "x-image-facts"
_CHUNK_BYTES = 1 << 20


class Client:
    """REST API of a server. Every method blocks: call it on a worker thread.

    All raise ``ServerError``, those that read a file also ``OSError``. ``cancel`` aborts them from another thread,
    ``on_progress`` gets bytes done and in total, see ``Connection.request``.

    Args:
        connection: to the server.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def info(self, cancel: Optional[CancelSignal] = None) -> ServerInfo:
        """State of the server; WRONG_APP or SCHEMA where it is incompatible with this module."""
        info = self._json("GET", "/info/", cancel=cancel)
        owner = {"username": "", "roles": []}
        if isinstance(info, dict) and info.get("name") == responses.APP:
            owner = self._json("GET", "/auth/token/valid", cancel=cancel)
        return responses.parse_server_info(info, owner)

    def images(self, cancel: Optional[CancelSignal] = None) -> tuple[ImageEntry, ...]:
        """The images of the server's folder, by name."""
        return responses.parse_image_list(self._json("GET", "/datastore/", {"output": "all"}, cancel=cancel))

    def next_image(self, strategy: str, cancel: Optional[CancelSignal] = None) -> Optional[str]:
        """The image to label next; ``None`` when all are labelled."""
        sample = as_object(
            self._json("POST", f"/activelearning/{_quoted(strategy)}", json={}, cancel=cancel), "next image"
        )
        return as_string(sample.get("id"), "id") if sample else None

    def radiograph(
        self, image_id: str, cancel: Optional[CancelSignal] = None, on_progress: Optional[OnProgress] = None
    ) -> Radiograph:
        """Download an image of the server's folder."""
        response = self.connection.request(
            "GET", "/datastore/image/pixels", {"image": image_id}, cancel=cancel, on_progress=on_progress
        )
        return parse_radiograph(image_id, _image_info(response), response.body, SERVER)

    def session_radiograph(
        self,
        session_id: str,
        path: str,
        cancel: Optional[CancelSignal] = None,
        on_progress: Optional[OnProgress] = None,
    ) -> Radiograph:
        """Download the image of an upload session; ``path`` is the file that was uploaded."""
        response = self.connection.request(
            "GET", f"/session/{_quoted(session_id)}", {"pixels": "true"}, cancel=cancel, on_progress=on_progress
        )
        return parse_radiograph(file_stem(path), _image_info(response), response.body, SESSION, path)

    def label(self, image_id: str, tag: str = FINAL, cancel: Optional[CancelSignal] = None) -> bytes:
        """Download a label, a ``.mrk.json`` file; NOT_FOUND without one."""
        return self.connection.request("GET", "/datastore/label", {"label": image_id, "tag": tag}, cancel=cancel).body

    def label_info(self, image_id: str, tag: str = FINAL, cancel: Optional[CancelSignal] = None) -> LabelInfo:
        """Information about a label; NOT_FOUND without one."""
        query = {"label": image_id, "tag": tag}
        return responses.parse_label_info(self._json("GET", "/datastore/label/info", query, cancel=cancel))

    def proposal(self, image_id: str, cancel: Optional[CancelSignal] = None) -> Optional[Proposal]:
        """What somebody has edited in a viewer of the PACS; ``None`` without it."""
        try:
            label = self._json("GET", "/landmarks", {"image": image_id, "tag": PROPOSED}, cancel=cancel)
        except ServerError as error:
            if error.kind != NOT_FOUND:
                raise
            return None
        return parse_proposal(label)

    def infer(
        self,
        image_id: Optional[str] = None,
        session_id: Optional[str] = None,
        fixed: Optional[Mapping[str, Mapping[str, Any]]] = None,
        cancel: Optional[CancelSignal] = None,
    ) -> Prediction:
        """Predict the landmarks of an image or of an upload session.

        Args:
            image_id: image of the server's folder.
            session_id: session, in place of an image.
            fixed: points to keep, ``{"T7": {"center": [x, y], "TL": [x, y]}}`` in pixels.
            cancel: aborts the request.
        """
        source = {"image": image_id} if session_id is None else {"session_id": session_id}
        query = {"output": "json", **{name: value for name, value in source.items() if value is not None}}
        form = {"params": json.dumps({"fixed": fixed} if fixed else {}, allow_nan=False)}
        return responses.parse_prediction(self._json("POST", f"/infer/{MODEL}", query, form=form, cancel=cancel))

    def create_session(
        self, path: str, cancel: Optional[CancelSignal] = None, on_progress: Optional[OnProgress] = None
    ) -> str:
        """Upload a file to a session, which does not store it; returns the session's id."""
        files = {"files": (Path(path).name, Path(path))}
        response = self.connection.request("PUT", "/session/", files=files, cancel=cancel, on_progress=on_progress)
        return as_string(as_object(parse_json(response.body), "session").get("session_id"), "session_id")

    def delete_session(self, session_id: str, cancel: Optional[CancelSignal] = None) -> None:
        """Delete a session with its file."""
        self.connection.request("DELETE", f"/session/{_quoted(session_id)}", cancel=cancel)

    def has_image(self, image_id: str, path: str, cancel: Optional[CancelSignal] = None) -> bool:
        """Whether the server's image of that name is identical to the file."""
        digest = hashlib.sha256()
        with Path(path).open("rb") as file:
            for chunk in iter(lambda: file.read(_CHUNK_BYTES), b""):
                digest.update(chunk)
        query = {"image": image_id, "check_sum": f"SHA256:{digest.hexdigest()}"}
        try:
            self.connection.request("HEAD", "/datastore/image", query, cancel=cancel)
        except ServerError as error:
            if error.kind != NOT_FOUND:
                raise
            return False
        return True

    def add_image(
        self,
        path: str,
        image_id: str = "",
        cancel: Optional[CancelSignal] = None,
        on_progress: Optional[OnProgress] = None,
    ) -> str:
        """Store a file in the server's folder.

        Args:
            path: the file.
            image_id: its name there; by default the file name without extension.
            cancel: aborts the upload.
            on_progress: see the class.

        Returns:
            Its name there. TAKEN is raised where an image of that name exists.
        """
        query = {"image": image_id} if image_id else None
        files = {"file": (Path(path).name, Path(path))}
        response = self.connection.request(
            "PUT", "/datastore/image", query, form={}, files=files, cancel=cancel, on_progress=on_progress
        )
        return as_string(as_object(parse_json(response.body), "image").get("image"), "image")

    def save_label(
        self,
        image_id: str,
        markups: bytes,
        info: Mapping[str, Any],
        tag: str = FINAL,
        base_version: Optional[int] = None,
        cancel: Optional[CancelSignal] = None,
    ) -> None:
        """Store a label, replacing one with the same tag.

        Args:
            image_id: image of the server's folder.
            markups: content of a ``.mrk.json`` file.
            info: JSON information about the label.
            tag: of the label.
            base_version: version that may be replaced, 0 for none; TAKEN where the label has another one. ``None``
                replaces any.
            cancel: aborts the request; whether the label was stored is then unknown.
        """
        form = {"params": json.dumps(dict(info), allow_nan=False)}
        files = {"label": (f"label{SUFFIX}", markups)}
        query = {"image": image_id, "tag": tag}
        if base_version is not None:
            query["base_version"] = str(base_version)
        self.connection.request("PUT", "/datastore/label", query, form=form, files=files, cancel=cancel)

    def set_side(self, image_id: str, side: Optional[str], cancel: Optional[CancelSignal] = None) -> None:
        """Store which of the patient's sides is at the left of an image whose file does not state it.

        Args:
            image_id: image of the server's folder.
            side: "left" or "right"; ``None`` to clear it. NOT_FOUND on servers before 0.8.
            cancel: aborts the request.
        """
        query = {"image": image_id, "image_left_is": side or ""}
        self.connection.request("PUT", "/datastore/image/side", query, form={}, cancel=cancel)

    def start_training(self, params: Optional[Mapping[str, Any]] = None, cancel: Optional[CancelSignal] = None) -> None:
        """Start a training on the final labels; BUSY while one runs."""
        self._json("POST", f"/train/{MODEL}", json=dict(params or {}), cancel=cancel)

    def training(self, cancel: Optional[CancelSignal] = None) -> Optional[Training]:
        """Progress of the newest training; ``None`` without any."""
        return responses.parse_training(self._json("GET", "/info/", cancel=cancel))

    def stop_training(self, cancel: Optional[CancelSignal] = None) -> None:
        """Stop the running training; the model stays unchanged."""
        self._json("DELETE", "/train/", cancel=cancel)

    # studies

    def study(self, cancel: Optional[CancelSignal] = None) -> Optional[Study]:
        """Plan and progress of the study; ``None`` without a plan, as on servers before 0.11."""
        try:
            return parse_study(self._json("GET", "/study", cancel=cancel))
        except ServerError as error:
            if error.kind != NOT_FOUND:
                raise
            return None

    def next_reading(self, user: str, strategy: str, cancel: Optional[CancelSignal] = None) -> NextReading:
        """What a reader or adjudicator is to do next; it is theirs then.

        Args:
            user: who asks.
            strategy: for choosing a new image.
            cancel: aborts the request.

        Raises:
            ServerError: REFUSED, the user has no part in the plan, or there is none.
        """
        with _plan_errors():
            answer = self._json("POST", "/study/next", json={"user": user, "strategy": strategy}, cancel=cancel)
        return parse_next_reading(answer)

    def release_reading(self, image_id: str, user: str, cancel: Optional[CancelSignal] = None) -> bool:
        """Give a reading back unread; returns whether the user had it."""
        answer = self._json("POST", "/study/release", json={"image": image_id, "user": user}, cancel=cancel)
        return as_bool(as_object(answer, "release").get("released"), "released")

    def note_presence(
        self, image_id: str, client_id: str, user: str, edits: int, cancel: Optional[CancelSignal] = None
    ) -> None:
        """Note that an image is open here, which keeps it from being given to somebody else."""
        query = {"image": image_id, "client": client_id}
        self._json("PUT", "/presence", query, json={"user": user, "edits": edits}, cancel=cancel)

    def end_presence(self, image_id: str, client_id: str, cancel: Optional[CancelSignal] = None) -> None:
        """Note that an image is no longer open here."""
        self._json("DELETE", "/presence", {"image": image_id, "client": client_id}, cancel=cancel)

    def reading_tag(self, image_id: str, reading: Reading, cancel: Optional[CancelSignal] = None) -> Optional[str]:
        """Tag of the label of a submitted reading; ``None`` where it is not submitted, or hidden from the user."""
        query = {"image": image_id, "reading": str(reading.number)}
        try:
            label = self._json("GET", "/landmarks", query, cancel=cancel)
        except ServerError as error:
            if error.kind != NOT_FOUND:
                raise
            return None
        return as_string(as_object(label, "label").get("tag"), "tag")

    def readings(self, image_id: str, cancel: Optional[CancelSignal] = None) -> ImageReadings:
        """The submitted readings of an image that the user may see."""
        return parse_image_readings(self._json("GET", "/readings", {"image": image_id}, cancel=cancel))

    def final_spine(self, image_id: str, cancel: Optional[CancelSignal] = None) -> Spine:
        """The points of the final label in stored pixels; NOT_FOUND without one."""
        label = as_object(self._json("GET", "/landmarks", {"image": image_id, "tag": FINAL}, cancel=cancel), "label")
        return responses.parse_spine(label.get("landmarks"))

    def adjudication_queue(self, cancel: Optional[CancelSignal] = None) -> tuple[QueuedImage, ...]:
        """Images to adjudicate, those whose readings differ most first; none for readers."""
        return parse_queue(self._json("GET", "/readings/queue", cancel=cancel))

    def adjudicate(
        self,
        image_id: str,
        take: Union[int, str],
        user: str,
        versions: Mapping[int, int],
        base_version: Optional[int] = None,
        cancel: Optional[CancelSignal] = None,
    ) -> None:
        """Make a reading, or the mean of two, the final label.

        Args:
            image_id: the image.
            take: number of the reading, or ``readings.MEAN``.
            user: who decides.
            versions: of the readings as seen, by number; TAKEN where one was changed meanwhile.
            base_version: of the final label that may be replaced, see ``save_label``.
            cancel: aborts the request.
        """
        seen = {str(number): version for number, version in versions.items()}
        body = {"take": take, "user": user, "versions": seen}
        query = {"image": image_id}
        if base_version is not None:
            query["base_version"] = str(base_version)
        self._json("POST", "/readings/adjudicate", query, json=body, cancel=cancel)

    def _json(
        self,
        method: str,
        path: str,
        query: Optional[Mapping[str, str]] = None,
        form: Optional[Mapping[str, str]] = None,
        json: Any = None,
        cancel: Optional[CancelSignal] = None,
    ) -> Any:
        return parse_json(self.connection.request(method, path, query, form, json=json, cancel=cancel).body)


@contextmanager
def _plan_errors() -> Iterator[None]:
    """Show what the study plan refuses in the server's own sentence."""
    try:
        yield
    except ServerError as error:
        raise refusal(error) from error


def _image_info(response: Response) -> Any:
    return parse_json(response.headers.get(IMAGE_INFO_HEADER, "").encode())


def _quoted(part: str) -> str:
    return urllib.parse.quote(part, safe="")
