"""Code named by a manifest: ``uses: ./nodes.py:parse``, a file below the manifest's folder that was allowed to run."""

from __future__ import annotations

import os
import sys

from agentflow_kernel.errors import UnknownName, UntrustedCode, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, ModuleType

    from agentflow_kernel.settings import Settings


class CodeLoader:
    """Loads the files of manifest folders, each once; ``trusted`` allows all of them for this call.

    ``folder`` is that of references which name no other.
    """

    def __init__(self, folder: str, settings: Settings, *, trusted: bool = False) -> None:
        self._folder = folder
        self._settings = settings
        self._trusted = trusted
        self._modules: dict[str, ModuleType] = {}
        self._compiled: dict[str, CodeType] = {}

    def renewed(self) -> CodeLoader:
        """A loader that runs the files anew, and neither reads nor compiles again what this one has."""
        loader = CodeLoader(self._folder, self._settings, trusted=self._trusted)
        loader._compiled = self._compiled
        return loader

    def digest(self) -> str:
        """SHA-256 of the files that were loaded, by their names and what is in them now; empty where there are none.

        Blocks. What those files import is not part of it.
        """
        from hashlib import sha256  # lazy: 3 ms, only simulations ask

        whole = sha256()
        for path in sorted(files := {*self._modules, *self._compiled}):
            with open(path, "rb") as file:
                whole.update(f"{os.path.relpath(path, self._folder)}\n{sha256(file.read()).hexdigest()}\n".encode())
        return whole.hexdigest() if files else ""

    def load(self, reference: str, folder: str = "") -> object:
        """The object behind ``./file.py:Name`` below ``folder``.

        Raises :class:`UntrustedCode` for a file that is not allowed, :class:`UsageError` for one that is missing,
        leaves the folder or fails when it is imported, :class:`UnknownName` for a name it does not define.
        """
        file, _, name = reference.rpartition(":")
        module = self._module(file, os.path.realpath(folder or self._folder))
        found = getattr(module, name, None)
        if found is None:
            public = [known for known in vars(module) if not known.startswith("_")]
            raise UnknownName(f"name in {file}", name, public)
        return found

    def _module(self, file: str, folder: str) -> ModuleType:
        path = os.path.realpath(os.path.join(folder, file))
        if not path.startswith(folder + os.sep):
            raise UsageError(f"Code {file!r} lies outside the manifest's folder; only files below it may be used.")
        if path in self._modules:
            return self._modules[path]
        if path not in self._compiled and not os.path.isfile(path):
            raise UsageError(f"Code {file!r} is not there: no file {path!r}.")
        if not self._trusted and not self._settings.allows_code(path):
            raise UntrustedCode(path)
        module = self._modules[path] = _import_file(path, self._compiled)
        return module


def _import_file(path: str, compiled: dict[str, CodeType]) -> ModuleType:
    """Import one file under a name of its own, so that two manifests never share a module by accident."""
    from hashlib import sha256  # lazy: 3 ms, only manifests with code pay
    from importlib.machinery import SourceFileLoader
    from importlib.util import module_from_spec, spec_from_file_location

    name = f"agentflow_code_{sha256(path.encode()).hexdigest()[:12]}"
    spec = spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UsageError(f"Code {path!r} is no Python file: its name must end in .py.")
    module = module_from_spec(spec)
    sys.modules[name] = module
    try:
        code = compiled.get(path)
        if code is None and isinstance(spec.loader, SourceFileLoader):
            code = spec.loader.get_code(name)
        if code is None:
            spec.loader.exec_module(module)
        else:
            exec(code, vars(module))  # noqa: S102 -- as the loader does, and as the user has allowed
            compiled[path] = code
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise UsageError(f"Code {path!r} cannot be imported: {type(error).__name__}: {error}") from error
    return module
