"""Training by several processes at once: how they find each other, and what they add up.

Each trains on a part of every batch and holds all weights. While no group is formed, every function here is what one
process does by itself, so that a trainer need not know.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from ..models.devices import choose_device

if TYPE_CHECKING:
    from torch.distributed.distributed_c10d import Store

_TIMEOUT_S, _STORE_TIMEOUT_S = 1800.0, 300.0
"""Longest wait for the slowest process (reading all images, validation), and for the first one to start."""
_FAILURES = "failures"
_LOST = ("gloo", "nccl", "connection", "broken pipe")
"""Words of the errors that name no class of their own."""

T = TypeVar("T")


class LostProcessError(ConnectionError):
    """Another process of the training has ended, nobody knows why."""


class FailedElsewhereError(ConnectionError):
    """Another process of the training has failed, and tells why."""


def count() -> int:
    """Processes that train together."""
    return dist.get_world_size() if _has_group() else 1


def rank() -> int:
    """Number of this process among them, from 0."""
    return dist.get_rank() if _has_group() else 0


def _has_group() -> bool:
    return dist.is_available() and dist.is_initialized()  # some builds of PyTorch lack it all


def is_first() -> bool:
    """Whether this process writes files and shows progress, which one of them does."""
    return rank() == 0


def launched_rank() -> int:
    """Number of this process as its launcher says, before a group is formed; 0 where it says none."""
    text = os.environ.get("RANK", "")
    return int(text) if text.isdecimal() else 0


def _said_by_launcher(name: str, default: int) -> int:
    text = os.environ.get(name, str(default))
    if not text.isdecimal():
        raise ValueError(f"the environment variable {name} must be a whole number, got {text!r}; start with torchrun")
    return int(text)


@contextmanager
def joined(device: str = "auto") -> Iterator[torch.device]:
    """Train together with the processes that torchrun or another launcher has started; alone if it has started none.

    A launcher sets ``RANK``, ``WORLD_SIZE``, ``MASTER_ADDR`` and ``MASTER_PORT``, on several devices of a machine
    ``LOCAL_RANK`` too. Of several CUDA devices, each process has the one of its local rank.

    Args:
        device: auto, cpu or cuda.

    Yields:
        The device of this process.

    Raises:
        ValueError: the device is unknown or absent, or the launcher says no or wrong numbers.
        LostProcessError: another process has ended; only in one of those that notice.
        FailedElsewhereError: another process tells why all of them end.
    """
    size = _said_by_launcher("WORLD_SIZE", 1)
    if size <= 1:
        yield choose_device(device)
        return
    if not dist.is_available():
        raise ValueError(f"this PyTorch cannot train by several processes, and WORLD_SIZE is {size}; start without it")
    store = _launchers_store(size)
    try:
        place = local_device(device, _said_by_launcher("LOCAL_RANK", 0))
        is_local = _said_by_launcher("LOCAL_WORLD_SIZE", 0) == size
        with member(store, launched_rank(), size, place, is_local):
            yield place
    except BaseException as error:
        if not _is_first_failure(store):
            raise FailedElsewhereError("another process of the training has failed") from error
        raise


def local_device(name: str, number: int) -> torch.device:
    """The device of one of several processes on a machine.

    Args:
        name: auto, cpu or cuda.
        number: of the process on its machine, from 0.

    Raises:
        ValueError: the device is unknown, or this machine has too few of them.
    """
    place = choose_device(name)
    if place.type != "cuda":
        return place
    if ":" in name:
        raise ValueError(f"device must be auto, cpu or cuda where several processes train, got {name!r}")
    if number >= torch.cuda.device_count():
        raise ValueError(
            f"{number + 1} processes or more need as many CUDA devices, this machine has {torch.cuda.device_count()}"
        )
    return torch.device("cuda", number)


def own_device(name: str) -> torch.device:
    """The device that a process of one machine trains on; ``name`` is auto, cpu or cuda.

    Raises:
        ValueError: the device is unknown or absent.
    """
    return choose_device(name) if count() == 1 else local_device(name, rank())


@contextmanager
def member(store: Store, number: int, size: int, device: torch.device, is_local: bool) -> Iterator[None]:
    """Be one of the processes of a group.

    Args:
        store: what all of them see.
        number: of this process, from 0.
        size: of the group.
        device: of this process.
        is_local: all of them run on this machine, and talk by its loopback interface unless ``GLOO_SOCKET_IFNAME``
            names another.

    Raises:
        LostProcessError: another process has ended.
    """
    on_cuda = device.type == "cuda"
    if on_cuda:
        torch.cuda.set_device(device)
    backend = "cpu:gloo,cuda:nccl" if on_cuda and dist.is_nccl_available() else "gloo"
    if is_local:
        _stay_on_loopback()
    has_failed = True
    try:
        dist.init_process_group(
            backend, timeout=timedelta(seconds=_TIMEOUT_S), store=store, rank=number, world_size=size
        )
        yield
        has_failed = False
    except RuntimeError as error:
        if isinstance(error, dist.DistError) or any(word in str(error).lower() for word in _LOST):
            raise LostProcessError("another process of the training has ended") from error
        raise
    finally:
        # Ending a group of NCCL waits for what its other members may no longer do.
        if dist.is_initialized() and not (on_cuda and has_failed):
            dist.destroy_process_group()


def _launchers_store(size: int) -> Store:
    """The store of the launcher, under a name of this start's own.

    After a restart, processes would find the addresses of dead ones under the old name.
    """
    environment = os.environ
    host, port = environment.get("MASTER_ADDR", ""), environment.get("MASTER_PORT", "")
    if not host or not port.isdecimal() or not environment.get("RANK", "").isdecimal():
        raise ValueError("WORLD_SIZE is set, but not all of MASTER_ADDR, MASTER_PORT and RANK; start with torchrun")
    if launched_rank() >= size:
        raise ValueError(f"RANK is {launched_rank()}, but WORLD_SIZE is {size}; start with torchrun")
    is_launchers = environment.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    try:
        store = dist.TCPStore(  # type: ignore[attr-defined]  # missing in stubs, as PrefixStore is
            host,
            int(port),
            is_master=launched_rank() == 0 and not is_launchers,
            timeout=timedelta(seconds=_STORE_TIMEOUT_S),
            wait_for_workers=False,
            use_libuv=environment.get("USE_LIBUV", "1") == "1",
        )
    except dist.DistError as error:
        raise LostProcessError(f"the first process of the training cannot be reached at {host}:{port}") from error
    start = f"start {environment.get('TORCHELASTIC_RESTART_COUNT', 0)}"
    return dist.PrefixStore(start, store)  # type: ignore[attr-defined]


def _stay_on_loopback() -> None:
    for name in ("lo", "lo0"):
        if hasattr(socket, "if_nameindex") and name in [interface for _, interface in socket.if_nameindex()]:
            os.environ.setdefault("GLOO_SOCKET_IFNAME", name)


def _is_first_failure(store: Store) -> bool:
    try:
        return store.add(_FAILURES, 1) == 1
    except RuntimeError:  # the process that had the store is gone, and may have had no time to tell
        return True


def from_first(function: Callable[[], T]) -> T:
    """What a function returns, or raises, in the first process, in every process."""
    if count() == 1:
        return function()
    answer: list[object] = [None, None]
    if is_first():
        try:
            answer[0] = function()
        except Exception as error:
            answer[1] = error
    dist.broadcast_object_list(answer)
    if isinstance(answer[1], Exception):
        raise answer[1]
    return answer[0]  # type: ignore[return-value]


def share_of(items: Sequence[T]) -> Sequence[T]:
    """The part of some items that this process works on; parts are in order, and as equal as they can be."""
    begin, end = (number * len(items) // count() for number in (rank(), rank() + 1))
    return items[begin:end]


def gathered(items: Sequence[T]) -> list[T]:
    """The items of all processes, those of the first one first."""
    if count() == 1:
        return list(items)
    parts: list[Sequence[T]] = [[] for _ in range(count())]
    dist.all_gather_object(parts, items)
    return [item for part in parts for item in part]


def shared_count(number: torch.Tensor) -> torch.Tensor:
    """What a sum over this process's part of a batch is to be divided by to become its part of the mean.

    Args:
        number: how many there are to average in this part, a scalar.

    Returns:
        The number in the whole batch, at least 1, by the number of processes: gradients are averaged over these.
    """
    if count() == 1:
        return number.clamp(min=1.0)
    whole = number.detach().clone()
    dist.all_reduce(whole)
    return whole.clamp(min=1.0) / count()


def mean(values: Mapping[str, torch.Tensor]) -> dict[str, float]:
    """Means of scalars over all processes; not finite where one of them is not."""
    stacked = torch.stack([value.detach().double() for value in values.values()])
    if count() > 1:
        dist.all_reduce(stacked)
    return dict(zip(values, (stacked / count()).tolist(), strict=True))


def replicated(network: nn.Module, device: torch.device) -> nn.Module:
    """The network as one that averages its gradients over all processes, which start from the weights of the first."""
    if count() == 1:
        return network
    ids = [device] if device.type == "cuda" else None
    return DistributedDataParallel(network, device_ids=ids, forward_sync_buffers=False)
