"""Every setting of a configuration, with its type, default and meaning."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import itertools
import re
import textwrap
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

ENTRY = re.compile(r"^(?P<names>\w+(?:, \w+)*):(?: (?P<text>.*))?$")
INLINE = re.compile(r"`(\w+)`((?:, `\w+`)*): ")


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """One setting.

    Args:
        key: dotted key, as `--set` takes it.
        kind: type, as text.
        default: value without a job file, as text.
        meaning: from the documentation of its class; empty if it has none.
    """

    key: str
    kind: str
    default: str
    meaning: str


def settings(kind: type[Any], default: Any, prefix: str = "") -> Iterator[Setting]:
    """Iterator over the settings of a configuration class, those of nested classes in place of the field.

    Args:
        kind: a dataclass.
        default: an object of it; None: defaults of the class.
        prefix: first part of the keys.
    """
    hints, meanings = typing.get_type_hints(kind), field_meanings(kind)
    for field in dataclasses.fields(kind):
        key, hint = f"{prefix}{field.name}", hints[field.name]
        value = _value(field, default)
        if isinstance(hint, type) and dataclasses.is_dataclass(hint):
            yield from settings(hint, value, f"{key}.")
        elif isinstance(inner := _value_type(hint), type) and dataclasses.is_dataclass(inner):
            yield from settings(inner, None, f"{key}.NAME.")
        else:
            meaning = meanings.get(field.name, "")
            yield Setting(key=key, kind=type_name(hint), default=_text(value), meaning=meaning)


def _value_type(hint: Any) -> Any:
    """Type of the values of a `dict` annotation, or None."""
    return typing.get_args(hint)[1] if typing.get_origin(hint) is dict else None


def field_meanings(kind: type[Any]) -> dict[str, str]:
    """Meaning of each field of a dataclass, from the docstrings of the class and its bases."""
    meanings: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if dataclasses.is_dataclass(base):
            names = {field.name for field in dataclasses.fields(base)}
            meanings |= _from_docstring(inspect.cleandoc(base.__doc__ or ""), names) | _from_source(base)
    return meanings


def type_name(hint: Any) -> str:
    """A type as a person reads it."""
    if typing.get_origin(hint) is typing.Literal:
        return " | ".join(str(value) for value in typing.get_args(hint))
    if inner := typing.get_args(hint):
        names = [type_name(one) for one in inner if one is not Ellipsis]
        return "list of " + names[0] if typing.get_origin(hint) in (tuple, list) else " | ".join(dict.fromkeys(names))
    return "null" if hint is type(None) else getattr(hint, "__name__", str(hint))


def _value(field: dataclasses.Field[Any], default: Any) -> Any:
    if default is not None:
        return getattr(default, field.name)
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return None if field.default is dataclasses.MISSING else field.default


def _text(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, tuple | list | frozenset):
        return f"[{', '.join(map(_text, value))}]"
    return "{}" if isinstance(value, Mapping) and not value else str(value)


def _from_source(kind: type[Any]) -> dict[str, str]:
    """Meanings in the docstrings below the fields of a class."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(tree, ast.ClassDef)
    return {
        field.target.id: " ".join(text.value.value.split()).rstrip(".")
        for field, text in itertools.pairwise(tree.body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }


def _from_docstring(text: str, fields: set[str]) -> dict[str, str]:
    """Meanings in an `Args:` section (``name, name: text``), and in sentences that begin with ```name`:``."""
    before, _, section = text.partition("Args:\n")
    entries: dict[str, str] = {}
    names: list[str] = []
    for line in inspect.cleandoc("\n" + section).splitlines():
        if entry := ENTRY.match(line):
            names = entry["names"].split(", ")
            entries |= dict.fromkeys(names, entry["text"] or "")
        elif line.startswith(" ") and names:
            entries |= {name: f"{entries[name]} {line.strip()}".strip() for name in names}
        else:
            names = []
    meanings = _from_sentences(" ".join(before.split()), fields)
    for name in entries.keys() & fields:
        inner = _from_sentences(entries[name], fields)
        first = min((entries[name].index(f"`{other}`") for other in inner), default=None)
        meanings |= {**inner, name: entries[name][:first]}
    return {name: words.strip().rstrip(".") for name, words in meanings.items()}


def _from_sentences(text: str, fields: set[str]) -> dict[str, str]:
    matches = [match for match in INLINE.finditer(text) if match[1] in fields]
    # A text that names no field has one end, and no match.
    ends = [*(match.start() for match in matches[1:]), len(text)]
    return {
        name: text[match.end() : end]
        for match, end in zip(matches, ends, strict=False)
        for name in re.findall(r"\w+", match[0])
    }
