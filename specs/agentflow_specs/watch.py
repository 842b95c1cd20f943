"""A watch: a plugin imported, asked and resolved in a process of its own, and what it did to that process meanwhile.

Nothing is imported here for the watching that the interpreter and the kernel have not loaded anyway: what a plugin
loads is counted.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # the part of signal that loads nothing
import _thread
import atexit
import importlib
import os
import sys
import warnings

from agentflow_kernel.hooks import Hooks
from agentflow_kernel.loading import KINDS

TYPE_CHECKING = False  # typing would be loaded for the plugin that is counted
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    Tell = Callable[..., None]

_CODE = (".py", ".pyc", ".so", ".pyd", ".zip")
_STARTED = ("subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.exec", "os.system", "os.spawn")
_THREADS = ("start_new_thread", "start_joinable_thread")
"""Not every version of Python has audit events for these."""
_TOUCHED = ("os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.chmod", "os.link", "os.symlink", "os.truncate")
_CO_FLAGS = 0x20 | 0x80 | 0x200
"""Of a function that gives a generator, a coroutine or an asynchronous generator (see :mod:`inspect`)."""
_SIGNALS = range(1, 32)


class Ears:
    """Hears the interpreter's audit events while it listens; a hook cannot be taken away again."""

    def __init__(self) -> None:
        self.listens = False
        self.heard: list[str] = []

    def __call__(self, event: str, arguments: tuple[object, ...]) -> None:
        """Note what a plugin has no reason to do when it is registered."""
        if not self.listens:
            return
        if event == "open":
            path = os.fsdecode(arguments[0]) if isinstance(arguments[0], str | bytes) else str(arguments[0])
            if not path.endswith(_CODE):
                self.heard.append(f"opens {path[:200]}")
        elif event in _STARTED:
            self.heard.append(f"starts a process ({event})")
        elif event.startswith("socket.") or event in _TOUCHED or event == "sqlite3.connect":
            self.heard.append(f"calls {event}")

    def listen_to_threads(self) -> None:
        """Note threads, too: those that :mod:`_thread` starts, and :mod:`threading`, if that is loaded later."""
        for name in _THREADS:
            start = getattr(_thread, name, None)
            if start is not None:
                setattr(_thread, name, self._noting(start))

    def _noting(self, start: Callable[..., object]) -> Callable[..., object]:
        def noted(*arguments: object, **options: object) -> object:
            if self.listens:
                self.heard.append("starts a thread")
            return start(*arguments, **options)

        return noted


def main(request: dict[str, Any], tell: Tell) -> None:
    """Watch the plugin behind one entry point; ``request`` has ``value`` and ``groups`` (group → names)."""
    hooks, ears = Hooks(), Ears()
    sys.addaudithook(ears)
    ears.listen_to_threads()
    state, modules = process_state(), set(sys.modules)
    tell(stage="at import")
    module, _, name = str(request["value"]).partition(":")
    ears.listens = True
    target: object = importlib.import_module(module)
    for part in name.split(".") if name else ():
        target = getattr(target, part)
    tell(stage="at registration")
    hooks.register(module, target)
    answers = _ask(hooks, target, request["groups"], tell)
    again = _ask(hooks, target, request["groups"], tell)
    ears.listens = False
    loaded = set(sys.modules) - modules
    changed = sorted(key for key, value in process_state().items() if state[key] != value)
    tell(
        modules=sorted(loaded),
        libraries=sorted(libraries(loaded, module)),
        heard=ears.heard[:20],
        changed=changed,
        asynchronous=_asynchronous(target),
        steady=_texts(answers) == _texts(again),
        specs=_texts(answers),
    )
    for group, specs in answers.items():
        for spec in specs:
            tell(stage=f"when the factory of {spec.name!r} is resolved")
            tell(resolved={"group": group, "name": spec.name, **_factory(str(spec.factory))})
            tell(stage=f"when the settings of {spec.name!r} are resolved")
            tell(settings={"group": group, "name": spec.name, **_settings(spec.settings)})
    tell(done=True)


def process_state() -> dict[str, str]:
    """What a process has once for all that run in it, each as text."""
    logging, socket, random = (sys.modules.get(name) for name in ("logging", "_socket", "random"))
    root: Any = getattr(logging, "root", None)
    mask = os.umask(0o077)
    os.umask(mask)
    return {
        "environment variables": str(sorted(os.environ.items())),
        "working folder": os.getcwd(),
        "signal handlers": str([str(_signal.getsignal(number)) for number in _SIGNALS]),
        "threads": str(_thread._count()),  # noqa: SLF001 -- threading would be loaded for the plugin
        "exit handlers": str(atexit._ncallbacks()),  # noqa: SLF001 -- there is no other way to ask
        "logging": str((root.level, root.handlers, root.manager.disable)) if root else str((30, [], 0)),
        "filters of warnings": str(warnings.filters),
        "sys.path": str(sys.path),
        "import hooks": str((sys.meta_path, sys.path_hooks)),
        "exception hooks": str((sys.excepthook, sys.unraisablehook, sys.displayhook)),
        "standard streams": str((id(sys.stdin), id(sys.stdout), id(sys.stderr))),
        "recursion limit": str((sys.getrecursionlimit(), sys.getswitchinterval())),
        "tracing": str((sys.gettrace(), sys.getprofile())),
        "umask": str(mask),
        "socket timeout": str(socket.getdefaulttimeout() if socket else None),
        "random state": str(hash(random.getstate()) if random else None),
    }


def libraries(loaded: Iterable[str], module: str) -> set[str]:
    """The top-level packages of others among modules."""
    own = {module.partition(".")[0], "agentflow_kernel", "pluggy"}
    return {name.partition(".")[0] for name in loaded} - own - sys.stdlib_module_names


def _ask(hooks: Hooks, target: object, groups: dict[str, list[str]], tell: Tell) -> dict[str, Sequence[Any]]:
    """What the hook of each group gives; a group without a hook gives nothing."""
    found: dict[str, Sequence[Any]] = {}
    for group in groups:
        hook = group.replace(".", "_", 1)
        if hasattr(hooks.of(target), hook):
            tell(stage=f"in its hook {hook}")
            found[group] = getattr(hooks.of(target), hook)()
    return found


def _texts(answers: dict[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Specs as JSON."""
    fields = ("name", "factory", "settings", "summary", "api_version")
    return [
        {"group": group, "kind": KINDS[group], "class": type(spec).__name__}
        | {field: getattr(spec, field, None) for field in fields}
        for group, specs in answers.items()
        for spec in specs
    ]


def _asynchronous(target: object) -> list[str]:
    """The hooks that give something to be awaited or iterated later."""
    found = []
    for name in dir(target):
        code = getattr(getattr(target, name), "__code__", None) if name.startswith("agentflow_") else None
        if code is not None and code.co_flags & _CO_FLAGS:
            found.append(name)
    return found


def _factory(reference: str) -> dict[str, Any]:
    """What is wrong with a factory, or nothing."""
    import inspect  # after the counting

    try:
        found = _look_up(reference)
    except Exception as error:  # noqa: BLE001 -- foreign code raises what it likes
        return {"problem": f"{reference!r}: {type(error).__name__}: {error}"}
    if not callable(found):
        return {"problem": f"{reference!r} cannot be called"}
    if inspect.iscoroutinefunction(found):
        return {"problem": f"{reference!r} is asynchronous; it has to give the object itself"}
    try:
        inspect.signature(found).bind("settings", "context")
    except TypeError as error:
        return {"problem": f"{reference!r} does not take settings and context: {error}"}
    except ValueError:
        return {"problem": ""}  # built in; it has no signature
    return {"problem": ""}


def _settings(reference: str | None) -> dict[str, Any]:
    """What is wrong with a settings model, its fields, and those without description."""
    if reference is None:
        return {"problem": "", "fields": [], "undescribed": []}
    try:
        model = _look_up(reference)
    except Exception as error:  # noqa: BLE001 -- foreign code raises what it likes
        return {"problem": f"{reference!r}: {type(error).__name__}: {error}", "fields": [], "undescribed": []}
    if not _is_model(model):
        return {"problem": f"{reference!r} is no pydantic model", "fields": [], "undescribed": []}
    open_, undescribed, seen, waiting = [], [], set(), [model]
    while waiting:
        one = waiting.pop()
        if one in seen:
            continue
        seen.add(one)
        if one.model_config.get("extra") != "forbid":
            open_.append(one.__name__)
        for name, field in one.model_fields.items():
            if not (field.description or "").strip():
                undescribed.append(f"{one.__name__}.{name}")
            waiting += models_in(field.annotation)
    problem = f"{', '.join(sorted(open_))} take unknown fields" if open_ else ""
    fields = sorted(field.alias or name for name, field in model.model_fields.items())
    return {"problem": problem, "fields": fields, "undescribed": sorted(undescribed)}


def models_in(annotation: Any) -> list[Any]:
    """The models inside an annotation, however deep they stand."""
    from typing import get_args  # after the counting

    if _is_model(annotation):
        return [annotation]
    return [model for argument in get_args(annotation) for model in models_in(argument)]


def _is_model(found: object) -> bool:
    """Whether something is a pydantic model; where there is one, pydantic is loaded."""
    base: Any = getattr(sys.modules.get("pydantic"), "BaseModel", ())
    return isinstance(found, type) and issubclass(found, base)


def _look_up(reference: str) -> Any:
    module, colon, path = reference.partition(":")
    if not module or not path or not colon:
        raise ValueError("it is not of the form module:Name")
    found: Any = importlib.import_module(module)
    for name in path.split("."):
        found = getattr(found, name)
    return found
