"""``/activelearning``, ``/batch``, ``/train`` and ``/scoring``: the next image, and long-running tasks."""

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

from ...annotation.readings.saving import is_of_study
from ...filenames import check_tag
from ...training.train_task import BUSY, WAITS
from ..access_policy import requires
from ..auth import Role
from ..dependencies import CurrentGate, CurrentUser, Json, Service, ServiceDep
from ..errors import bad_request
from ..task_registry import BATCH, SCORING, TRAIN, task_json
from ..validation import BatchParams, NextImageParams, ScoringParams, TrainParams, sent
from .study.plan import name_of, next_of

router = APIRouter()

READER, ANNOTATOR, ADMIN = requires(Role.READER), requires(Role.ANNOTATOR), requires(Role.ADMIN)
MAX_PENDING, MAX_FINISHED = 8, 100
"""Tasks of a kind that may wait or run, and finished ones that stay listed."""


@router.post("/activelearning/{strategy}", openapi_extra=ANNOTATOR, tags=["ActiveLearning"], summary="Next image")
async def next_image(
    service: ServiceDep,
    gate: CurrentGate,
    user: CurrentUser,
    strategy: str,
    params: Annotated[NextImageParams | None, Body()] = None,
) -> Response:
    """The next image to label by a strategy; ``{}`` when all are labelled.

    In a study with a plan, that of ``POST /study/next``, for the user of the login, else ``client_id``.
    """
    _check_exists("strategy", strategy, service.app._strategies)
    request = sent(params)
    if gate.plan is None:
        return Json(await service.label_pool.run(_next_image, service, strategy, request, user.name))
    name = name_of(user, request.get("client_id") or "", gate)
    return Json(await service.label_pool.run(_next_reading, service, strategy, name))


def _next_reading(service: Service, strategy: str, name: str) -> dict[str, Any]:
    """The next image of a study; to nobody in particular a new one, which is a reading when it is submitted."""
    gate, store = service.study.gate(name), service.app.datastore()
    plan = gate.plan
    if name or plan is None:
        found = next_of(service, name, strategy)
        image = found.pop("image")
        found.pop("sentence", None)
    else:
        found, image = {}, (service.app.next_sample({"strategy": strategy}) or {}).get("id")
    return {} if image is None else {"id": image, **gate.image_info(image, store.get_image_info(image)), **found}


def _next_image(service: Service, strategy: str, request: dict[str, Any], user: str) -> dict[str, Any]:
    store = service.app.datastore()
    sample = service.app.next_sample({**request, "strategy": strategy})
    if not sample:
        return {}
    picks = store.get_image_info(sample["id"]).get("strategy", {})
    picks[strategy] = {"ts": int(time.time()), "client_id": request.get("client_id", user)}
    store.update_image_info(sample["id"], {"strategy": picks})
    return {**sample, **store.get_image_info(sample["id"])}


@router.post("/batch/infer/{model}", openapi_extra=ADMIN, tags=["Infer"], summary="Landmarks of many images")
async def start_batch(
    service: ServiceDep,
    gate: CurrentGate,
    model: str,
    images: BatchInferImageType = BatchInferImageType.IMAGES_ALL,
    params: Annotated[BatchParams | None, Body()] = None,
    run_sync: bool = False,
) -> Response:
    """Predict on all, labelled or unlabelled images, and store the results as labels ``label_tag``."""
    _check_exists("model", model, service.app._infers)
    request = sent(params)
    try:
        tag = check_tag(request.setdefault("label_tag", "original") or "original")
        if is_of_study(gate, tag):
            raise ValueError("label_tag: labels of this tag are readings of the study, which people save")
    except ValueError as error:
        raise bad_request(error) from error
    if run_sync:
        return Json(
            await service.long_task_pool.run(service.app.batch_infer, {**request, "model": model, "images": images})
        )
    task = {"model": model, "images": images.value}
    return Json(await _submit(service, BATCH, task, request, enqueue=False))


@router.post("/train/", openapi_extra=ADMIN, include_in_schema=False)
async def start_all_trainings(
    service: ServiceDep, params: Annotated[TrainParams | None, Body()] = None, run_sync: bool = False
) -> Response:
    """Train every trainable model, with the parameters under its name."""
    by_model = sent(params)
    results = {}
    for model in service.app._trainers:
        own = by_model.get(model) or {}
        request = await _training_params(service, model, own if isinstance(own, dict) else {}, enqueue=True)
        answer = await _train(service, model, request, run_sync, enqueue=True)
        results[model] = {"result": answer, "detail": None}
    return Json(results)


@router.post("/train/{model}", openapi_extra=ADMIN, tags=["Train"], summary="Train a model")
async def start_training(
    service: ServiceDep,
    model: str,
    params: Annotated[TrainParams | None, Body()] = None,
    run_sync: bool = False,
    enqueue: bool = False,
) -> Response:
    """Train in a process of its own; ``/info/`` lists the parameters and their defaults."""
    _check_exists("model to train", model, service.app._trainers)
    request = await _training_params(service, model, sent(params), enqueue)
    return Json(await _train(service, model, request, run_sync, enqueue))


@router.delete("/train/", openapi_extra=ADMIN, tags=["Train"], summary="Stop the training")
async def stop_training(service: ServiceDep) -> Response:
    """Kill its process and discard its progress, also if the process has ended before."""
    task = await service.io_pool.run(service.task_registry.stop, TRAIN)
    await service.io_pool.run(service.app.discard_training, is_ended=task is not None)
    return Json(task)


@router.post("/scoring/", openapi_extra=ANNOTATOR, include_in_schema=False)
async def start_all_scorings(service: ServiceDep, params: Annotated[ScoringParams | None, Body()] = None) -> Response:
    """Run every scoring method."""
    request = sent(params)
    results = {}
    for method in service.app._scoring_methods:
        answer = await _submit(service, SCORING, {"method": method}, request, enqueue=True)
        results[method] = {"result": answer, "detail": None}
    return Json(results)


@router.post("/scoring/{method}", openapi_extra=ANNOTATOR, tags=["Scoring"], summary="Run a scoring method")
async def start_scoring(
    service: ServiceDep,
    method: str,
    params: Annotated[ScoringParams | None, Body()] = None,
    run_sync: bool = False,
) -> Response:
    """Run a scoring method in a process of its own."""
    _check_exists("scoring method", method, service.app._scoring_methods)
    request = sent(params)
    if run_sync:
        return Json(await service.long_task_pool.run(service.app.scoring, {**request, "method": method}))
    return Json(await _submit(service, SCORING, {"method": method}, request, enqueue=False))


def _add_status_route(path: str, kind: str, tag: str, task: str) -> None:
    @router.get(path, openapi_extra=READER, tags=[tag], summary=f"Status of the {task}", name=f"{kind}_status")
    async def status(service: ServiceDep, all: bool = False, check_if_running: bool = False) -> Response:
        """The last task, all tasks, or the running one."""
        select = service.task_registry.active if check_if_running else service.task_registry.of
        selected = await service.io_pool.run(select, kind)
        if not selected:
            raise HTTPException(404, f"no {kind} task {'runs' if check_if_running else 'was started'}")
        if check_if_running:
            return Json(selected[0])
        return Json(selected if all else selected[-1])


def _add_stop_route(path: str, kind: str, tag: str, task: str, policy: dict[str, Any]) -> None:
    @router.delete(path, openapi_extra=policy, tags=[tag], summary=f"Stop the {task}", name=f"stop_{kind}")
    async def stop(service: ServiceDep) -> Response:
        """Kill its process."""
        return Json(await service.io_pool.run(service.task_registry.stop, kind))


_add_status_route("/batch/infer", BATCH, "Infer", "batch")
_add_status_route("/train/", TRAIN, "Train", "training")
_add_status_route("/scoring/", SCORING, "Scoring", "scoring")
_add_stop_route("/batch/infer", BATCH, "Infer", "batch", ADMIN)
_add_stop_route("/scoring/", SCORING, "Scoring", "scoring", ANNOTATOR)


def _check_exists(what: str, name: str, available: Mapping[str, Any]) -> None:
    if name not in available:
        choice = f"use {', '.join(map(repr, available))}" if available else "there is none"
        raise HTTPException(404, f"there is no {what} {name!r:.80}; {choice}")


async def _training_params(service: Service, model: str, params: dict[str, Any], enqueue: bool) -> dict[str, Any]:
    """The parameters, after the trainer has accepted them."""
    try:
        await service.io_pool.run(service.app.check_training, {**params, "model": model}, enqueue)
    except ValueError as error:
        raise HTTPException(429 if str(error) == BUSY else 400, str(error)) from error
    return params


async def _train(service: Service, model: str, request: dict[str, Any], run_sync: bool, enqueue: bool) -> Any:
    if run_sync:
        return await service.long_task_pool.run(service.app.train, {**request, "model": model})
    waits = {WAITS: True} if enqueue else {}  # also for a training of another server
    return await _submit(service, TRAIN, {"model": model}, {**request, **waits}, enqueue)


async def _submit(
    service: Service, kind: str, request: dict[str, Any], params: dict[str, Any], enqueue: bool
) -> dict[str, Any]:
    active = await service.io_pool.run(service.task_registry.active, kind)
    if len(active) >= (MAX_PENDING if enqueue else 1):
        raise HTTPException(429, "such a task runs already", headers={"Retry-After": "60"})
    del tasks(kind)[:-MAX_FINISHED]
    task, detail = await service.io_pool.run(AsyncTask.run, kind, request=request, params=params, enqueue=enqueue)
    if task is None:
        raise HTTPException(429, detail, headers={"Retry-After": "60"})
    with contextlib.suppress(DBAPIError):  # retried soon
        await service.io_pool.run(service.task_registry.publish)
    return task_json(task)
