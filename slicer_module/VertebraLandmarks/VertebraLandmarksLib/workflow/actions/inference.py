"""Requesting predictions for the open image; points that a user set are never lost to them."""

from __future__ import annotations

from typing import Callable, Optional

from ...client.api import Client
from ...client.errors import BAD_RESPONSE, REFUSED, ServerError
from ...client.responses import Prediction
from .. import server_tasks
from ..open_image import EditSession
from ..server_tasks import LoadedImage
from ..workers import Job
from .base import Action, ActionContext
from .image_loader import ImageLoader
from .submission import VIEW_ONLY

FOLLOW_DELAY_S = 0.1
"""After a move, so that a key held down leads to one request."""
NO_MODEL_IN_READING = "The study plan offers no points of the model in this reading. Place the points by hand."


class InferenceAction(Action):
    """Requests predictions.

    Args:
        context: see ``Action``.
        loader: knows which changes are no edits of the user.
    """

    def __init__(self, context: ActionContext, loader: ImageLoader) -> None:
        super().__init__(context)
        self._loader = loader
        self._due: Optional[float] = None

    @property
    def _has_model(self) -> bool:
        info = self._store.state.info
        return info is not None and bool(info.model)

    def infer(self) -> None:
        """Request a prediction; touched points stay, and the rest is decoded around them."""
        session = self._autosave.session
        if session is None or not self._requests.check_same_server(session.server):
            return
        if not session.offers_model:
            self._requests.show_error(ServerError(REFUSED, VIEW_ONLY if session.is_view_only else NO_MODEL_IN_READING))
            return
        if self._requests.client is not None and not self._has_model:
            self._requests.show_error(ServerError(REFUSED, "The server has no model. Place the points by hand."))
            return
        description = "Finding landmarks around yours" if self._logic.editor.is_touched else "Finding landmarks"
        self._request(session, description, lambda prediction: self._show(session, prediction))

    def on_edited(self, is_followed: bool) -> None:
        """The user changed something: request a prediction around it after a pause, where it is to be followed."""
        self._due = self._clock() + FOLLOW_DELAY_S if is_followed else None

    def poll(self) -> None:
        """Send the request that is due."""
        if self._due is not None and self._clock() >= self._due:
            self._due = None
            self._follow()

    def _follow(self) -> None:
        """Request a prediction around the last edit, where the untouched points are a model's."""
        session = self._autosave.session
        if session is None or session.server not in ("", self._requests.server):
            return
        is_possible = self._store.state.is_connected and self._has_model and session.offers_model
        if not is_possible or not session.shows_proposal(self._logic):
            return
        change_count = session.change_count

        def show(prediction: Prediction) -> None:
            with self._loader.programmatic_change():
                is_followed = session.change_count == change_count and self._logic.follow_prediction(prediction)
            if is_followed:  # else there is a newer edit, with a request of its own
                self._autosave.mark_edited(session)

        self._request(session, "Finding the others around yours", show)

    def _request(self, session: EditSession, description: str, show: Callable[[Prediction], None]) -> None:
        fixed, image_id, path = self._logic.editor.fixed(), session.image_id, session.path
        upload_id = session.upload_id

        def work(client: Client, job: Job) -> tuple[Prediction, str]:
            if path is None:
                return server_tasks.infer_image(client, image_id, fixed, job)
            return server_tasks.infer_file(client, path, upload_id, fixed, job)

        self._requests.submit("infer", description, work, lambda result: self._on_prediction(session, *result, show))

    def infer_if_outdated(self, loaded: LoadedImage, is_wanted: bool) -> None:
        """Request a prediction for an image that was opened, if its points are those of another model version.

        Args:
            loaded: the image.
            is_wanted: whether to request one also where it has no points.
        """
        info, session = self._store.state.info, self._autosave.session
        is_offered = session is not None and session.offers_model
        if info is None or not self._has_model or not is_offered or loaded.is_final:
            return
        is_outdated = loaded.label is not None and loaded.label_info.origin.model_version != info.model_version
        if is_outdated or (is_wanted and loaded.label is None):
            self.infer()

    def infer_with_new_model(self) -> None:
        """Request a prediction of a new model for the open image, if nobody has worked on it."""
        current = self._store.state.current
        is_untouched = current is not None and current.label == "prediction" and not current.is_unsaved
        session = self._autosave.session
        is_offered = session is not None and session.offers_model
        if is_untouched and is_offered and not self._logic.editor.is_touched:
            self.infer()

    def _on_prediction(
        self, session: EditSession, prediction: Prediction, upload_id: str, show: Callable[[Prediction], None]
    ) -> None:
        session.upload_id = upload_id
        shown = self._logic.radiograph
        if session is not self._autosave.session or shown is None or self._store.state.current is None:
            return
        if (prediction.image.height, prediction.image.width) != shown.pixels.shape:
            sentence = "The image on the server has changed. Open it again; your work is kept."
            self._requests.show_error(ServerError(BAD_RESPONSE, sentence))
            return
        show(prediction)

    def _show(self, session: EditSession, prediction: Prediction) -> None:
        current = self._store.state.current
        with self._loader.programmatic_change():
            is_step = self._logic.show_prediction(prediction)
        if is_step:
            self._autosave.mark_edited(session)
        else:
            session.is_proposal = True
            self._store.update_current(label="prediction")
            self._autosave.publish(session)
        if current is not None and current.label == "label":
            self._store.update(notice="These are points of the model. Undo brings the submitted label back.")
