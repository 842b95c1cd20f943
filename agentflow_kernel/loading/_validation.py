"""A validation: the settings in a manifest against a plugin's settings model, told so that they can be corrected."""

from __future__ import annotations

from agentflow_kernel.errors import InputInvalid, nearest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pydantic import BaseModel

    from agentflow_kernel.contracts.values import JSON


def unwanted(what: str, given: Mapping[str, JSON]) -> Sequence[InputInvalid]:
    """The findings for a plugin that takes no settings."""
    return [InputInvalid(what, "unknown setting; this plugin takes none.", path=_pointer([name])) for name in given]


def validated(what: str, model: object, given: Mapping[str, JSON]) -> tuple[object, Sequence[InputInvalid]]:
    """The settings object and no findings, or ``None`` and a finding for each fault, in the order of the model.

    No finding shows a value, which may be a secret.

    Raises:
        TypeError: ``model`` is no pydantic model.
    """
    from pydantic import BaseModel, ValidationError  # lazy: 60 ms, at the first plugin with settings

    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        raise TypeError(f"settings must name a pydantic model, not {model!r}")
    try:
        return model.model_validate(dict(given), extra="forbid"), ()
    except ValidationError as exc:
        errors = exc.errors(include_url=False, include_input=False, include_context=False)
    return None, [_finding(what, model, error["type"], error["loc"], error["msg"]) for error in errors]


def _finding(what: str, model: type[BaseModel], fault: str, place: Sequence[str | int], message: str) -> InputInvalid:
    path = _pointer(place)
    if fault == "missing":
        return InputInvalid(what, "is missing.", path=path)
    if fault == "extra_forbidden":
        known = _fields(model, place[:-1])
        close = nearest(str(place[-1]), known)
        text = f"unknown setting. Known: {', '.join(map(repr, sorted(known))) or 'none'}."
        return InputInvalid(what, text + (f" Did you mean {close!r}?" if close else ""), path=path)
    return InputInvalid(what, message.removeprefix("Value error, ") + ".", path=path)


def _fields(model: type[BaseModel] | None, place: Sequence[str | int]) -> list[str]:
    """The names of the settings at a place in a model; none where it cannot be told."""
    for step in place:
        if isinstance(step, str) and model is not None:
            found = [field for name, field in model.model_fields.items() if step in {name, field.alias}]
            model = _model_in(found[0].annotation) if found else None
    return [] if model is None else [field.alias or name for name, field in model.model_fields.items()]


def _model_in(annotation: object) -> type[BaseModel] | None:
    """The first pydantic model in an annotation such as ``list[Rule] | None``."""
    from typing import get_args

    from pydantic import BaseModel

    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part)) is not None), None)


def _pointer(place: Sequence[str | int]) -> str:
    """A JSON pointer (RFC 6901)."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in place)
