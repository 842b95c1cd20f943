"""The composition: resources of a manifest made into objects, each once, when it is first needed."""

from __future__ import annotations

from agentflow_kernel.contracts.plugin import PluginContext
from agentflow_kernel.errors import InputInvalid, ManifestErrors, UnknownName, UsageError
from agentflow_kernel.flow.fork import Branch, Parallel
from agentflow_kernel.flow.step import Compensation
from agentflow_kernel.run.flow import Flow

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from random import Random
    from typing import Any

    from agentflow_kernel.agent import Agent
    from agentflow_kernel.contracts.clock import Clock
    from agentflow_kernel.contracts.journal import Journal
    from agentflow_kernel.contracts.memory import Memory
    from agentflow_kernel.contracts.planner import Planner
    from agentflow_kernel.contracts.policy import Policy
    from agentflow_kernel.contracts.provider import Provider
    from agentflow_kernel.contracts.source import Source
    from agentflow_kernel.contracts.tool import Toolset
    from agentflow_kernel.contracts.values import JSON
    from agentflow_kernel.flow.key import StateKey
    from agentflow_kernel.kernel.code import CodeLoader
    from agentflow_kernel.loading import Plugins
    from agentflow_kernel.manifest import Manifest, Resource
    from agentflow_kernel.plan import Plan
    from agentflow_kernel.run.acting import Parts

    Wrap = Callable[[str, str, Callable[[], object]], object]
    """Kind, name and maker of an object; returns what is used in its place."""

_BRANCH_OPTIONS = (
    "input", "each", "batch_size", "concurrency", "on_item_error", "effect", "blocking", "on_unknown", "approve",
    "timeout_s", "batch_mode",
)  # fmt: skip
_NODE_OPTIONS = (*_BRANCH_OPTIONS, "when", "fan_out", "max_visits", "join")


class Environment:
    """What every object of a kernel is made with: plugins, code, clock, random source and the state folder."""

    __slots__ = ("plugins", "code", "clock", "random", "state_folder", "emit")

    def __init__(
        self,
        plugins: Plugins,
        code: CodeLoader | None,
        *,
        clock: Clock,
        random: Random,
        state_folder: str | None,
        emit: Callable[[str, dict[str, object]], None],
    ) -> None:
        self.plugins = plugins
        self.code = code
        self.clock = clock
        self.random = random
        self.state_folder = state_folder
        self.emit = emit

    def context(self, name: str, folder: str) -> PluginContext:
        """The context handed to a factory."""
        return PluginContext(
            name, clock=self.clock, random=self.random, folder=folder, state_folder=self.state_folder, emit=self.emit
        )


class Composition:
    """The objects behind one manifest. ``model`` puts one model in the place of all agents' models.

    ``wrap`` is asked for each object that a plugin or the manifest's code makes; it decides whether it is made.
    """

    def __init__(self, manifest: Manifest, environment: Environment, *, model: str | None = None) -> None:
        self.manifest = manifest
        self._environment = environment
        self._model = model
        self._made: dict[tuple[str, str], Any] = {}
        self._documents: dict[str, Mapping[str, JSON] | ManifestErrors] = {}
        """What the files of plans hold, or what is wrong with them."""
        self.wrap: Wrap = _make_it

    def renewed(self, environment: Environment) -> Composition:
        """A composition of the same manifest that has made nothing yet."""
        composition = Composition(self.manifest, environment, model=self._model)
        composition._documents = self._documents
        return composition

    def read_documents(self) -> None:
        """Read the files of all plans, as they are now; blocks. What is wrong with one is raised where it is used."""
        for resource in self.manifest.of("Plan"):
            if "file" in resource.spec:
                try:
                    self._documents[resource.name] = self._document(resource)
                except ManifestErrors as error:
                    self._documents[resource.name] = error

    def release(self) -> list[object]:
        """Everything made so far, the latest first, which is the order to close it in; it is made anew when needed."""
        made = list(reversed(self._made.values()))
        self._made.clear()
        return made

    def flow(self, name: str) -> Flow:
        """The flow of that name."""
        return self._once("Flow", name, self._make_flow)  # type: ignore[no-any-return]  # made by _make_flow

    def agent(self, name: str) -> Agent:
        """The agent of that name."""
        return self._once("Agent", name, self._make_agent)  # type: ignore[no-any-return]  # made by _make_agent

    def plan(self, name: str) -> Plan:
        """The plan of that name."""
        return self._once("Plan", name, self._make_plan)  # type: ignore[no-any-return]  # made by _make_plan

    def memory(self, name: str) -> tuple[Memory, float | None]:
        """The memory of that name and its default time to live in seconds."""
        resource = self.manifest.get("Memory", name)
        return self._plugged("memory", resource), resource.spec.get("ttl_s")

    def toolset(self, name: str) -> Toolset:
        """The toolset behind the Tool resource of that name."""
        return self._plugged("tool", self.manifest.get("Tool", name))  # type: ignore[no-any-return]  # by contract

    def source(self, name: str, overrides: Mapping[str, object] | None = None) -> Source:
        """A new source for the trigger of that name, with some of its settings replaced."""
        resource = self.manifest.get("Trigger", name)
        settings: dict[str, Any] = {**resource.spec.get("with", {}), **(overrides or {})}
        return self._make("source", resource, resource.spec, settings)  # type: ignore[no-any-return]  # by contract

    def journal(self) -> Journal | None:
        """The manifest's journal, or ``None``; raises :class:`UsageError` when there are two."""
        resources = self.manifest.of("Journal")
        if not resources:
            return None
        if len(resources) > 1:
            names = ", ".join(repr(resource.name) for resource in resources)
            raise UsageError(f"A manifest has at most one Journal; this one has {names}.")
        return self._plugged("journal", resources[0])  # type: ignore[no-any-return]  # by contract

    def _once(self, kind: str, name: str, make: Callable[[Resource], object]) -> Any:
        key = (kind, name)
        if key not in self._made:
            self._made[key] = make(self.manifest.get(kind, name))
        return self._made[key]

    def _plugged(self, kind: str, resource: Resource) -> Any:
        key = (kind, resource.name)
        if key not in self._made:
            self._made[key] = self._make(kind, resource, resource.spec, resource.spec.get("with", {}))
        return self._made[key]

    def _make(self, kind: str, resource: Resource, spec: Mapping[str, Any], settings: Mapping[str, JSON]) -> Any:
        """One object from a plugin or from the manifest's code; faults are reported at their place in the file."""
        environment = self._environment
        context = environment.context(resource.name, resource.folder)
        if "uses" in spec:
            factory: Any = self._code(resource, "spec.uses", spec["uses"])
            return self.wrap(kind, resource.name, lambda: factory(dict(settings), context))

        def make() -> object:
            return environment.plugins.make(
                kind, spec["plugin"], settings, context, on_setting_error=lambda found: self._located(resource, found)
            )

        return self.wrap(kind, resource.name, make)

    def _located(self, resource: Resource, found: Sequence[InputInvalid]) -> ManifestErrors:
        """Findings about settings, each at its place in the file."""
        errors = []
        for finding in found:
            parts = [part.replace("~1", "/").replace("~0", "~") for part in finding.path.split("/")[1:]]
            place = ("spec", "with", *(int(part) if part.isdigit() else part for part in parts))
            errors.append(self.manifest.error(resource, place, finding.problem))
        return ManifestErrors(errors)

    def _code(self, resource: Resource, place: str, reference: str) -> object:
        """The object behind a ``uses``; a name that the file does not define is reported at its place."""
        if self._environment.code is None:
            raise UsageError(f"Code {reference!r} cannot be loaded: this kernel has no manifest folder.")
        try:
            return self._environment.code.load(reference, resource.folder)
        except UnknownName as error:
            raise ManifestErrors([self.manifest.error(resource, place, str(error))]) from error

    def _policies(self, names: list[str]) -> list[Policy]:
        return [self._plugged("policy", self.manifest.get("Policy", name)) for name in names]

    def _make_flow(self, resource: Resource) -> Flow:
        spec = resource.spec
        flow = Flow(resource.name, start=spec.get("start"), policies=self._policies(spec.get("policies", [])))
        flow.max_steps = spec.get("max_steps", flow.max_steps)
        flow.limited(**{key: spec[key] for key in ("timeout_s", "compensation_s", "on_unknown_action") if key in spec})
        for name, node in spec["nodes"].items():
            place = f"spec.nodes.{name}"
            options = self._options(resource, place, node, _NODE_OPTIONS)
            options["routes"] = {"default": node["next"]} if "next" in node else _routes(node.get("routes", {}))
            for option in ("when", "fan_out", "join"):  # the manifest says its ways itself
                options.setdefault(option, None if option == "join" else ())
            if "parallel" in node:
                target: object = self._fork(resource, f"{place}.parallel.branches", node["parallel"])
            else:
                target = self._target(resource, place, node)
            flow.add_step(name, target, options)
        reducers: Mapping[str, str] = spec.get("reducers", {})
        flow.reducers = {key: self._reducer(resource, f"reducers.{key}", text) for key, text in reducers.items()}
        if "state" in spec or "state_schema" in spec:
            flow.keeps(*self._state_keys(resource, spec.get("state", {})), schema=spec.get("state_schema"))
        if "state_model" in spec:
            flow.state_model = self._code(resource, "spec.state_model", spec["state_model"])
        flow.scope = spec.get("scope", flow.scope)
        flow.input_schema = spec.get("input_schema")
        if "output" in spec:
            flow.returns(spec["output"])
        if "display" in spec:
            flow.shows(spec["display"])
        return flow

    def _state_keys(self, resource: Resource, declared: Mapping[str, Any]) -> list[StateKey[Any]]:
        from agentflow_kernel.flow.key import NOTHING, StateKey  # only flows that declare keys pay

        return [
            StateKey(
                name,
                default=key.get("default", NOTHING),
                reducer=self._reducer(resource, f"state.{name}.reducer", key.get("reducer", "")) or None,
                scope=key["scope"],
                schema=key.get("schema"),
            )
            for name, key in declared.items()
        ]

    def _options(
        self, resource: Resource, place: str, node: Mapping[str, Any], known: Sequence[str]
    ) -> dict[str, object]:
        """What a node or a branch declares besides its target and its way."""
        options: dict[str, object] = {option: node[option] for option in known if option in node}
        if node.get("policies"):
            options["policies"] = self._policies(node["policies"])
        if "compensate" in node:
            undo = node["compensate"]
            own = {option: undo[option] for option in Compensation.OPTIONS if option in undo}
            if undo["policies"]:
                own["policies"] = self._policies(undo["policies"])
            options["compensate"] = Compensation(self._target(resource, f"{place}.compensate", undo), **own)
        if "emit" in node:
            options["emits"] = node["emit"]
        return options

    def _fork(self, resource: Resource, place: str, spec: Mapping[str, Any]) -> Parallel:
        branches = {
            name: Branch(
                self._target(resource, f"{place}.{name}", branch),
                only_if=branch.get("if"),
                **self._options(resource, f"{place}.{name}", branch, _BRANCH_OPTIONS),
            )
            for name, branch in spec["branches"].items()
        }
        return Parallel(branches, join=spec["join"], rest=spec["rest"], concurrency=spec["concurrency"])

    def _reducer(self, resource: Resource, place: str, text: str) -> Any:
        return self._code(resource, f"spec.{place}", text) if text.startswith("./") else text

    def _target(self, resource: Resource, place: str, node: Mapping[str, Any]) -> object:
        if "uses" in node:
            return self._code(resource, f"{place}.uses", node["uses"])
        if "agent" in node:
            return self.agent(node["agent"])
        if "flow" in node:
            return self.flow(node["flow"])
        if "plan" in node:
            return self.plan(node["plan"])
        if "tool" in node:
            from agentflow_kernel.agent import ToolStep  # only manifests with tool nodes pay

            toolset, _, tool = node["tool"].partition(".")
            return ToolStep(node["tool"], self.toolset(toolset), tool)
        if "ask" in node or "wait" in node:
            from agentflow_kernel.flow.asking import read_ask, read_wait  # only manifests that ask or wait pay

            return read_ask(node["ask"]) if "ask" in node else read_wait(node["wait"])
        return None

    def _make_agent(self, resource: Resource) -> Agent:
        from agentflow_kernel.agent import Agent  # only manifests with agents pay

        spec = resource.spec
        provider, model = self._provider(spec)
        only, tools = self._tools(spec)
        if "memory" in spec:
            from agentflow_kernel.agent_memory import MemoryToolset  # only agents with a memory pay

            if spec["memory"] in tools:
                problem = f"Tool {spec['memory']!r} and the memory of that name would offer tools of the same names."
                raise ManifestErrors([self.manifest.error(resource, "spec.memory", problem)])
            tools[spec["memory"]] = MemoryToolset(spec["memory"], *self.memory(spec["memory"]))
            only.append(spec["memory"])
        return Agent(
            resource.name,
            provider,
            self._planner(resource, spec.get("planner", "tools")),
            instructions=spec.get("instructions", ""),
            tools=tools,
            only=only,
            policies=self._policies(spec.get("policies", [])),
            output_schema=spec.get("output_schema"),
            model=model,
            approve=spec.get("approve"),
            on_unknown=spec.get("on_unknown", "stuck"),
            parts=self._parts(spec),
        )

    def _make_plan(self, resource: Resource) -> Plan:
        from agentflow_kernel.plan import Plan  # only manifests with plans pay

        spec = resource.spec
        provider, model = self._provider(spec) if "model" in spec else (None, None)
        only, tools = self._tools(spec)
        return Plan(
            resource.name,
            *self.planner_of(resource),
            provider=provider,
            instructions=spec.get("instructions", ""),
            tools=tools,
            only=only,
            policies=self._policies(spec.get("policies", [])),
            input_schema=spec.get("input_schema"),
            model=model,
            approve=spec.get("approve"),
            on_unknown=spec.get("on_unknown", "stuck"),
            parts=self._parts(spec),
        )

    def planner_of(self, resource: Resource) -> tuple[Planner, Mapping[str, JSON]]:
        """The planner of a Plan resource and the document that it follows."""
        return self._planner(resource, resource.spec["planner"]), self._document(resource)

    def _document(self, resource: Resource) -> Mapping[str, JSON]:
        """What a plan follows; what stands in a file of another format is for its planner to read."""
        if "document" in resource.spec:
            return resource.spec["document"]  # type: ignore[no-any-return]  # a mapping, by its shape
        known = self._documents.get(resource.name)
        if isinstance(known, ManifestErrors):
            raise known
        if known is not None:
            return known
        from agentflow_kernel.kernel.plan_file import read_plan_file  # only plans in files pay

        return read_plan_file(self.manifest, resource)

    def _tools(self, spec: Mapping[str, Any]) -> tuple[list[str], dict[str, Toolset]]:
        """The tools that may be used, and the sets that hold them."""
        only = list(spec.get("tools", []))
        return only, {name: self.toolset(name) for name in dict.fromkeys(tool.split(".")[0] for tool in only)}

    def _parts(self, spec: Mapping[str, Any]) -> Parts | None:
        """The agents, flows and plans that actions of a planner may name."""
        if not any(kind in spec for kind in ("agents", "flows", "plans")):
            return None
        from agentflow_kernel.run.acting import Parts  # only planners with parts pay

        return Parts(
            agents={name: self.agent(name) for name in spec.get("agents", ())},
            flows={name: self.flow(name) for name in spec.get("flows", ())},
            plans={name: self.plan(name) for name in spec.get("plans", ())},
            described={
                f"{kind.lower()}/{name}": self.manifest.get(kind, name).spec.get("description", "")
                for kind in ("Agent", "Flow", "Plan")
                for name in spec.get(f"{kind.lower()}s", ())
            },
        )

    def _planner(self, resource: Resource, planner: str | Mapping[str, Any]) -> Planner:
        spec: Mapping[str, Any] = {"plugin": planner} if isinstance(planner, str) else planner
        key = ("planner", f"{resource.kind}/{resource.name}")
        if key not in self._made:
            self._made[key] = self._make("planner", resource, spec, spec.get("with", {}))
        return self._made[key]  # type: ignore[no-any-return]  # by contract

    def _provider(self, spec: Mapping[str, Any]) -> tuple[Provider, Any]:
        """The provider and the model settings of an agent: its own, or those put in their place for this run."""
        from agentflow_kernel.agent import ModelSettings  # only manifests with agents pay
        from agentflow_kernel.contracts.provider import Prices

        name = self._model or spec["model"]
        if self.manifest.find("Model", name) is not None:
            resource = self.manifest.get("Model", name)
            prices = resource.spec.get("prices")
            settings = ModelSettings(
                resource.spec.get("model", ""),
                max_tokens=resource.spec.get("max_tokens"),
                temperature=resource.spec.get("temperature"),
                prices=None if prices is None else Prices(**prices),
            )
            return self._plugged("provider", resource), settings
        plugin, slash, model = name.partition("/")
        if not (slash and plugin and model):
            known = [each for resource in self.manifest.of("Model") for each in resource.names]
            raise UnknownName("model", name, [*known, "<provider>/<model>"])
        key = ("provider", name)
        if key not in self._made:
            context = self._environment.context(plugin, self.manifest.folder)
            plugins = self._environment.plugins
            self._made[key] = self.wrap("provider", name, lambda: plugins.make("provider", plugin, {}, context))
        return self._made[key], ModelSettings(model)


def _make_it(kind: str, name: str, make: Callable[[], object]) -> object:
    """The object itself."""
    return make()


def _routes(routes: Mapping[str, str | None]) -> dict[str, str]:
    """Routes as the graph takes them: ``null`` in a manifest ends the flow."""
    return {action: "end" if target is None else target for action, target in routes.items()}
