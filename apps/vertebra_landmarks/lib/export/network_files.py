"""File formats of networks: one function that writes each, and one that reads it as a function."""

from __future__ import annotations

import contextlib
import logging
import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from ..learning import optional_packages
from .networks import INPUT, ExportableNetwork, NetworkFunction

_COMMAND = ".venv/bin/pip install --no-deps -r requirements-export.txt"
OPSET = 18
"""Of ONNX; ONNX Runtime 1.14 and later read it."""


class NetworkFormat(NamedTuple):
    """One file format.

    Attributes:
        suffix: of its files.
        packages: that it needs on top of ``requirements.txt``.
        write: a network to a file.
        load: a file as a function on one thread, without anything of this project.
    """

    suffix: str
    packages: tuple[str, ...]
    write: Callable[[ExportableNetwork, Path], None]
    load: Callable[[Path], NetworkFunction]


def _write_onnx(network: ExportableNetwork, path: Path) -> None:
    with _quiet():
        program = torch.onnx.export(
            network.module,
            (network.example(),),
            dynamo=True,
            dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
            input_names=[INPUT[network.name]],
            output_names=list(network.outputs),
            opset_version=OPSET,
            verbose=False,
        )
    assert program is not None  # with dynamo it never is
    program.save(path)


def _load_onnx(path: Path) -> NetworkFunction:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(os.fspath(path), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda batch: session.run(None, {name: np.ascontiguousarray(batch)})


def _write_torchscript(network: ExportableNetwork, path: Path) -> None:
    with _quiet(), torch.no_grad():
        torch.jit.trace(network.module, (network.example(),)).save(os.fspath(path))


def _load_torchscript(path: Path) -> NetworkFunction:
    with _quiet():
        return _numpy_function(torch.jit.load(os.fspath(path), map_location="cpu"))


def _write_torch_export(network: ExportableNetwork, path: Path) -> None:
    shapes = ({0: torch.export.Dim("batch", min=1)},)
    with _quiet(), torch.no_grad():
        torch.export.save(torch.export.export(network.module, (network.example(),), dynamic_shapes=shapes), path)


def _load_torch_export(path: Path) -> NetworkFunction:
    with _quiet():
        return _numpy_function(torch.export.load(path).module())


def _numpy_function(module: Callable[[torch.Tensor], tuple[torch.Tensor, ...]]) -> NetworkFunction:
    def run(batch: np.ndarray) -> list[np.ndarray]:
        with torch.no_grad(), torch.autocast("cpu", enabled=False):
            return [output.numpy() for output in module(torch.from_numpy(batch))]

    return run


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without warnings about packages that are not needed, and about formats that PyTorch will give up."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


FORMATS = {
    "onnx": NetworkFormat(".onnx", ("onnx", "onnxscript", "onnxruntime"), _write_onnx, _load_onnx),
    "torchscript": NetworkFormat(".ts", (), _write_torchscript, _load_torchscript),
    "torch-export": NetworkFormat(".pt2", (), _write_torch_export, _load_torch_export),
}
"""All file formats of networks by name."""


def missing_packages(names: tuple[str, ...]) -> str | None:
    """A sentence that says which packages are not installed and how to install them; ``None`` where none is missing."""
    return optional_packages.missing_packages(names, _COMMAND, "exporting needs")
