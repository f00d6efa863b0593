"""``/activelearning``, ``/batch``, ``/train`` and ``/scoring``: the next image, and work that takes long."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Body, HTTPException, Response
from monailabel.interfaces.tasks.batch_infer import BatchInferImageType
from monailabel.utils.async_tasks.task import AsyncTask
from monailabel.utils.async_tasks.utils import tasks
from sqlalchemy.exc import DBAPIError

from ..names import check_tag
from ..train import WAITS
from .auth import Role
from .errors import bad_request
from .needs import needs
from .params import BatchParams, NextImageParams, ScoringParams, TrainParams, sent
from .service import Asking, Json, Served, Service
from .task_board import BATCH, SCORING, TRAIN, shown

router = APIRouter()

READER, ANNOTATOR, ADMIN = needs(Role.READER), needs(Role.ANNOTATOR), needs(Role.ADMIN)
MOST_WAITING, MOST_REMEMBERED = 8, 100
"""Tasks of a kind that wait or run, and that are kept for those who ask how they went."""


@router.post("/activelearning/{strategy}", openapi_extra=ANNOTATOR, tags=["ActiveLearning"], summary="The next image")
async def next_image(
    served: Served, asking: Asking, strategy: str, params: Annotated[NextImageParams | None, Body()] = None
) -> Response:
    """An image to label next, by ``random`` or another strategy; ``{}`` when all are labelled."""
    _check_known("strategy", strategy, served.app._strategies)
    request = sent(params)
    return Json(await served.filing.run(_next_image, served, strategy, request, asking.name))


def _next_image(served: Service, strategy: str, request: dict[str, Any], user: str) -> dict[str, Any]:
    store = served.app.datastore()
    sample = served.app.next_sample({**request, "strategy": strategy})
    if not sample:
        return {}
    noted = store.get_image_info(sample["id"]).get("strategy", {})
    noted[strategy] = {"ts": int(time.time()), "client_id": request.get("client_id", user)}
    store.update_image_info(sample["id"], {"strategy": noted})
    return {**sample, **store.get_image_info(sample["id"])}


@router.post("/batch/infer/{model}", openapi_extra=ADMIN, tags=["Infer"], summary="Landmarks of many images")
async def start_batch(
    served: Served,
    model: str,
    images: BatchInferImageType = BatchInferImageType.IMAGES_ALL,
    params: Annotated[BatchParams | None, Body()] = None,
    run_sync: bool = False,
) -> Response:
    """Predict on all, labelled or unlabelled images and keep the results as labels ``label_tag``."""
    _check_known("model", model, served.app._infers)
    request = sent(params)
    try:
        check_tag(request.setdefault("label_tag", "original") or "original")
    except ValueError as error:
        raise bad_request(error) from error
    if run_sync:
        return Json(await served.working.run(served.app.batch_infer, {**request, "model": model, "images": images}))
    return await _start(served, BATCH, {"model": model, "images": images.value}, request, enqueue=False)


@router.get("/batch/infer", openapi_extra=READER, tags=["Infer"], summary="How the batch goes")
async def batch_status(served: Served, all: bool = False, check_if_running: bool = False) -> Response:
    """The last task, or all."""
    return await _status(served, BATCH, all, check_if_running)


@router.delete("/batch/infer", openapi_extra=ADMIN, tags=["Infer"], summary="Stop the batch")
async def stop_batch(served: Served) -> Response:
    """End its process."""
    return await _stop(served, BATCH)


@router.post("/train/", openapi_extra=ADMIN, include_in_schema=False)
async def start_all_trainings(
    served: Served, params: Annotated[TrainParams | None, Body()] = None, run_sync: bool = False
) -> Response:
    """Train every model that can be trained, with the parameters that stand under its name."""
    given = sent(params)
    results = {}
    for model in served.app._trainers:
        own = given.get(model) or {}
        request = await _training_params(served, model, own if isinstance(own, dict) else {}, enqueue=True)
        answer = await _train(served, model, request, run_sync, enqueue=True)
        results[model] = {"result": answer, "detail": None}
    return Json(results)


@router.post("/train/{model}", openapi_extra=ADMIN, tags=["Train"], summary="Train a model")
async def start_training(
    served: Served,
    model: str,
    params: Annotated[TrainParams | None, Body()] = None,
    run_sync: bool = False,
    enqueue: bool = False,
) -> Response:
    """Train in a process of its own; ``/info/`` lists the parameters and their defaults."""
    _check_known("model to train", model, served.app._trainers)
    request = await _training_params(served, model, sent(params), enqueue)
    return Json(await _train(served, model, request, run_sync, enqueue))


@router.get("/train/", openapi_extra=READER, tags=["Train"], summary="How the training goes")
async def training_status(served: Served, all: bool = False, check_if_running: bool = False) -> Response:
    """The last task, or all."""
    return await _status(served, TRAIN, all, check_if_running)


@router.delete("/train/", openapi_extra=ADMIN, tags=["Train"], summary="Stop the training")
async def stop_training(served: Served) -> Response:
    """End its process; what it has learnt so far is thrown away, also where the process was ended before."""
    task = await served.filing.run(served.board.stop, TRAIN)
    await served.filing.run(served.app.discard_training, is_ended=task is not None)
    return Json(task)


@router.post("/scoring/", openapi_extra=ANNOTATOR, include_in_schema=False)
async def start_all_scorings(served: Served, params: Annotated[ScoringParams | None, Body()] = None) -> Response:
    """Run every scoring method."""
    request = sent(params)
    results = {}
    for method in served.app._scoring_methods:
        answer = await _started(served, SCORING, {"method": method}, request, enqueue=True)
        results[method] = {"result": answer, "detail": None}
    return Json(results)


@router.post("/scoring/{method}", openapi_extra=ANNOTATOR, tags=["Scoring"], summary="Run a scoring method")
async def start_scoring(
    served: Served,
    method: str,
    params: Annotated[ScoringParams | None, Body()] = None,
    run_sync: bool = False,
) -> Response:
    """Run it in a process of its own."""
    _check_known("scoring method", method, served.app._scoring_methods)
    request = sent(params)
    if run_sync:
        return Json(await served.working.run(served.app.scoring, {**request, "method": method}))
    return await _start(served, SCORING, {"method": method}, request, enqueue=False)


@router.get("/scoring/", openapi_extra=READER, tags=["Scoring"], summary="How the scoring goes")
async def scoring_status(served: Served, all: bool = False, check_if_running: bool = False) -> Response:
    """The last task, or all."""
    return await _status(served, SCORING, all, check_if_running)


@router.delete("/scoring/", openapi_extra=ANNOTATOR, tags=["Scoring"], summary="Stop the scoring")
async def stop_scoring(served: Served) -> Response:
    """End its process."""
    return await _stop(served, SCORING)


def _check_known(what: str, name: str, known: Mapping[str, Any]) -> None:
    if name not in known:
        choice = f"use {', '.join(map(repr, known))}" if known else "there is none"
        raise HTTPException(404, f"there is no {what} {name!r:.80}; {choice}")


async def _training_params(served: Service, model: str, params: dict[str, Any], enqueue: bool) -> dict[str, Any]:
    """The parameters, if the trainer takes them; none of them names a file."""
    await served.filing.run(served.app.check_training, {**params, "model": model}, enqueue)
    return params


async def _train(served: Service, model: str, request: dict[str, Any], run_sync: bool, enqueue: bool) -> Any:
    if run_sync:
        return await served.working.run(served.app.train, {**request, "model": model})
    waits = {WAITS: True} if enqueue else {}  # for the one of another server, too
    return await _started(served, TRAIN, {"model": model}, {**request, **waits}, enqueue)


async def _start(
    served: Service, kind: str, request: dict[str, Any], params: dict[str, Any], enqueue: bool
) -> Response:
    return Json(await _started(served, kind, request, params, enqueue))


async def _started(
    served: Service, kind: str, request: dict[str, Any], params: dict[str, Any], enqueue: bool
) -> dict[str, Any]:
    waiting = await served.filing.run(served.board.active, kind)
    if len(waiting) >= (MOST_WAITING if enqueue else 1):
        raise HTTPException(429, "such a task runs already", headers={"Retry-After": "60"})
    del tasks(kind)[:-MOST_REMEMBERED]
    task, detail = await served.filing.run(AsyncTask.run, kind, request=request, params=params, enqueue=enqueue)
    if task is None:
        raise HTTPException(429, detail, headers={"Retry-After": "60"})
    with contextlib.suppress(DBAPIError):  # it is tried again soon
        await served.filing.run(served.board.tell)
    return shown(task)


async def _status(served: Service, kind: str, all: bool, check_if_running: bool) -> Response:
    found = await served.filing.run(served.board.active if check_if_running else served.board.of, kind)
    if not found:
        raise HTTPException(404, f"no {kind} task {'runs' if check_if_running else 'was begun'}")
    if check_if_running:
        return Json(found[0])
    return Json(found if all else found[-1])


async def _stop(served: Service, kind: str) -> Response:
    return Json(await served.filing.run(served.board.stop, kind))
