"""PythonQt on PySide6: Qt objects with the names and the behavior of PythonQt.

What PythonQt answers with an error is an error here. Where PythonQt is silent (unknown signals, values of the wrong
type, getters beside a property) this is strict, so that a mistake shows in the tests and not in Slicer. Source of the
behavior: ``PythonQtInstanceWrapper.cpp`` and ``PythonQtSignalReceiver.cpp`` of PythonQt.
"""

import enum
import inspect
import os
import traceback
from collections.abc import Callable
from typing import Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import shiboken6
from PySide6 import QtCore

slot_errors: "list[BaseException]" = []
"""Exceptions raised by Python slots; PythonQt prints them and goes on, so tests check this list."""

_VARARGS = inspect.CO_VARARGS
_PYTHON_ONLY = frozenset({"findChild", "findChildren", "connect", "disconnect", "receivers", "sender"})
_KINDS: "dict[str, tuple[type, ...]]" = {"QString": (str,), "bool": (bool,), "int": (int,), "double": (int, float)}


class QtObject:
    """QObject as in PythonQt: properties are attributes, all else that is public is a method.

    Args:
        target: the object of PySide6.
    """

    _target: QtCore.QObject

    def __init__(self, target: QtCore.QObject) -> None:
        object.__setattr__(self, "_target", target)

    def __getattr__(self, name: str) -> Any:
        target = _alive(self)
        if name == "name":
            return target.objectName()
        meta = target.metaObject()
        if meta.indexOfProperty(name) >= 0:
            return _wrapped(target.property(name))
        if name.startswith("_") or name in _PYTHON_ONLY or name in _readers(meta) or not hasattr(type(target), name):
            raise AttributeError(f"{meta.className()} has no attribute named '{name}'")
        found = getattr(target, name)
        if isinstance(found, QtCore.SignalInstance):
            raise AttributeError(f"'{name}' of {meta.className()} is a signal; use connect('{name}(...)', callable)")
        return _method(found) if callable(found) else found

    def __setattr__(self, name: str, value: Any) -> None:
        target = _alive(self)
        meta = target.metaObject()
        index = meta.indexOfProperty("objectName" if name == "name" else name)
        if index < 0:
            kind = meta.className()
            raise AttributeError(f"'{name}' does not exist on {kind} and creating attributes on it is not allowed")
        found = meta.property(index)
        kinds = _KINDS.get(str(found.typeName()))
        plain = _plain(value)
        if not found.isWritable():
            raise AttributeError(f"Property '{name}' of {meta.className()} is not writable")
        wrong = kinds is not None and (not isinstance(plain, kinds) or (isinstance(plain, bool) and bool not in kinds))
        if wrong or not found.write(target, plain):
            raise AttributeError(f"Property '{name}' of type '{found.typeName()!s}' does not accept {value!r}")

    def connect(self, signal: str, slot: "Callable[..., Any]") -> bool:
        """Call ``slot`` at every ``signal``, written ``name(types)``, with as many arguments as it accepts."""
        target = _alive(self)
        signature = _signature(target, signal)
        if not callable(slot):
            raise TypeError(f"connect('{signal}', ...) needs a callable, got {slot!r}")
        called = _trimmed(slot)
        _connections.setdefault((_key(target), signature), []).append((slot, called))
        return bool(QtCore.QObject.connect(target, QtCore.SIGNAL(signature), called))

    def disconnect(self, signal: str, slot: "Callable[..., Any] | None" = None) -> bool:
        """Disconnect this slot, or all."""
        target = _alive(self)
        signature = _signature(target, signal)
        known = _connections.get((_key(target), signature), [])
        gone = [pair for pair in known if slot is None or pair[0] == slot]
        for pair in gone:
            known.remove(pair)
            QtCore.QObject.disconnect(target, QtCore.SIGNAL(signature), pair[1])
        return bool(gone)

    def className(self) -> str:
        """Name of the C++ class."""
        return str(_alive(self).metaObject().className())

    def children(self) -> "list[QtObject]":
        """Child objects."""
        return [QtObject(child) for child in _alive(self).children()]

    def __bool__(self) -> bool:
        return shiboken6.isValid(self._target)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, QtObject) and self._target is other._target

    def __hash__(self) -> int:
        return hash(self._target)

    def __repr__(self) -> str:
        return f"<{self.className()} {self.name!r}>" if self else "<deleted Qt object>"


class QtClass:
    """Class of QObjects: call it to create an object; static methods and enumerations are its attributes."""

    def __init__(self, kind: "type[QtCore.QObject]") -> None:
        self._kind = kind

    def __call__(self, *arguments: Any) -> QtObject:
        """Create an object."""
        made = self._kind(*[_plain(value) for value in arguments])
        return QtObject(made)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or not hasattr(self._kind, name):
            raise AttributeError(f"{self._kind.__name__} has no attribute named '{name}'")
        found = getattr(self._kind, name)
        return _method(found) if callable(found) and not isinstance(found, (type, enum.Enum)) else found

    def __instancecheck__(self, value: object) -> bool:
        return isinstance(_plain(value), self._kind)


_readers_of: "dict[str, frozenset[str]]" = {}
_connections: "dict[tuple[int, str], list[tuple[Callable[..., Any], Callable[..., Any]]]]" = {}


def _key(target: QtCore.QObject) -> int:
    return int(shiboken6.getCppPointer(target)[0])


def _alive(wrapper: QtObject) -> QtCore.QObject:
    target = wrapper._target
    if not shiboken6.isValid(target):
        raise ValueError(f"a destroyed {type(target).__name__} object was used")
    return target


def _readers(meta: QtCore.QMetaObject) -> "frozenset[str]":
    """Getters of properties with another name than the property, such as ``isChecked``."""
    kind = str(meta.className())
    if kind not in _readers_of:
        names = (str(meta.property(i).name()) for i in range(meta.propertyCount()))
        _readers_of[kind] = frozenset(f"is{name[:1].upper()}{name[1:]}" for name in names)
    return _readers_of[kind]


def _signature(target: QtCore.QObject, signal: str) -> str:
    normal = QtCore.QMetaObject.normalizedSignature(signal)  # type: ignore[arg-type]  # takes text, whatever its stub says
    signature = bytes(normal.data()).decode()
    if target.metaObject().indexOfSignal(signature) < 0:
        raise ValueError(f"{target.metaObject().className()} has no signal '{signal}'")
    return signature


def _trimmed(slot: "Callable[..., Any]") -> "Callable[..., Any]":
    code = slot.__func__.__code__ if inspect.ismethod(slot) else getattr(slot, "__code__", None)
    most = None
    if code is not None and not code.co_flags & _VARARGS:
        most = code.co_argcount - inspect.ismethod(slot)

    def called(*arguments: Any) -> None:
        try:
            slot(*[_wrapped(value) for value in arguments[:most]])
        except BaseException as error:
            traceback.print_exc()
            slot_errors.append(error)

    return called


def _method(found: "Callable[..., Any]") -> "Callable[..., Any]":
    return lambda *arguments: _wrapped(found(*[_plain(value) for value in arguments]))


def _plain(value: Any) -> Any:
    if isinstance(value, QtObject):
        return value._target
    if isinstance(value, (list, tuple)):
        return type(value)(_plain(one) for one in value)
    if inspect.isfunction(value) or inspect.ismethod(value):
        return _trimmed(value)
    return value


def _wrapped(value: Any) -> Any:
    if isinstance(value, QtCore.QObject):
        return QtObject(value)
    if isinstance(value, (list, tuple)):
        return [_wrapped(one) for one in value] if isinstance(value, list) else tuple(_wrapped(one) for one in value)
    return value
