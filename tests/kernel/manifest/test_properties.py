"""What holds for every input: no other exception than ManifestErrors, no loss, no surprise."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentflow_kernel.errors import ManifestErrors
from agentflow_kernel.manifest import Manifest, read, steps
from agentflow_kernel.manifest._path import linked, unrolled, written

if TYPE_CHECKING:
    from pathlib import Path

SAME_FILE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
"""Each example overwrites the same file, which is all that the fixture gives; two seconds bound the slowest."""

BITS = [
    *["a", "kind", ": ", "\n", "  ", "- ", "[", "]", "{", "}", ", ", "&a ", "*a", "!!x ", "'", '"', "|\n", ">\n", "? "],
    *["---\n", "...\n", "#", "\t", "%", "<<", "${A}", "$ref", "null", "1", ".nan", "\0", "\u2028", "ä", "\ufeff", "@"],
    *["apiVersion: agentflow.dev/v1\n", "kind: Flow\n", "metadata: {name: a}\n", "spec:\n", "  nodes:\n", "\\ud800"],
]
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn", "Zl", "Zp"]))
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
TOOL = "apiVersion: agentflow.dev/v1\nkind: Tool\nmetadata: {name: a}\nspec: {plugin: x, with: {value: %s}}\n"


def outcome(content: bytes, folder: Path) -> Manifest | tuple[str, ...]:
    """A manifest that can be used, or findings that can be shown; nothing else may come."""
    (folder / "m.yaml").write_bytes(content)
    try:
        manifest = read("m.yaml", environ={"A": "x"})
    except ManifestErrors as errors:
        places = [(finding.line, finding.column) for finding in errors.findings]
        assert places == sorted(places)
        for finding in errors.findings:
            assert finding.file == "m.yaml"
            assert finding.problem
            assert (finding.line > 0) == (finding.column > 0)
            assert len(str(finding)) < 2_000
        return tuple(map(str, errors.findings))
    assert len(manifest.fingerprint) == 64
    for resource in manifest.resources:
        assert json.loads(json.dumps(resource.spec, allow_nan=False)) == resource.spec
    return manifest


@SAME_FILE
@given(content=st.binary(max_size=400))
def test_any_bytes(folder: Path, content: bytes) -> None:
    """Bytes are a manifest or findings."""
    outcome(content, folder)


@pytest.mark.usefixtures("parser")
@SAME_FILE
@given(bits=st.lists(st.sampled_from(BITS), max_size=60))
def test_any_text_of_yaml(folder: Path, bits: list[str]) -> None:
    """So is whatever the signs of YAML can be put together to."""
    outcome("".join(bits).encode(), folder)


@pytest.mark.usefixtures("parser")
@SAME_FILE
@given(draw=st.data())
def test_any_change_of_a_manifest(folder: Path, good: str, draw: st.DataObject) -> None:
    """So is a good manifest in which something was put, taken away or replaced."""
    text = good
    for _ in range(draw.draw(st.integers(1, 4))):
        begin = draw.draw(st.integers(0, len(text)))
        end = begin + draw.draw(st.sampled_from([0, 0, 1, 5, 40]))
        text = text[:begin] + draw.draw(st.sampled_from(["", *BITS])) + text[end:]
    outcome(text.encode(), folder)


@SAME_FILE
@given(bits=st.lists(st.sampled_from(BITS), max_size=40))
def test_both_parsers_agree(folder: Path, bits: list[str]) -> None:
    """What one parser takes means the same to the other, where both take it."""
    content = "".join(bits).encode()
    results = []
    for fast in (True, False):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(yaml, "__with_libyaml__", fast)
            results.append(outcome(content, folder))
    first, second = results
    if isinstance(first, Manifest) and isinstance(second, Manifest):
        assert first.fingerprint == second.fingerprint


def escaped(value: Any) -> Any:
    """The value with ``${`` in its texts, but not in its keys, written as a manifest has it."""
    if isinstance(value, dict):
        return {key: escaped(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [escaped(inner) for inner in value]
    return value.replace("${", "$${") if isinstance(value, str) else value


@pytest.mark.usefixtures("parser")
@SAME_FILE
@given(value=JSON)
def test_json_is_read_as_json(folder: Path, value: Any) -> None:
    """A setting written as JSON is that JSON, to the last bit of a float."""
    (folder / "m.yaml").write_text(TOOL % json.dumps(escaped(value), ensure_ascii=False))
    (tool,) = read("m.yaml", environ={}).resources
    assert json.dumps(tool.spec["with"]["value"]) == json.dumps(value)


STEPS = st.lists(st.integers(-(10**8), 10**8) | st.text(min_size=1, max_size=20), max_size=24)


@given(path=STEPS)
def test_a_path_is_read_back(path: list[str | int]) -> None:
    """Whatever the keys hold."""
    assert list(steps(written(path))) == path
    assert list(unrolled(linked(path))) == path


@pytest.mark.parametrize("text", ["a" * 3_000, 'a["\\x"]', "a..b", "a[-]", "a[0", "[]", "a]", ".a"])
def test_a_text_that_is_no_path_is_refused(text: str) -> None:
    """With a short message, whatever its length."""
    with pytest.raises(ValueError, match=r"characters|JSON string|is neither") as caught:
        steps(text)
    assert len(str(caught.value)) < 200


@given(text=st.text(st.sampled_from('ab.[]"0 \\é$-')))
def test_a_text_is_a_path_or_refused(text: str) -> None:
    """Nothing is passed over: writing the steps again gives steps that are equal."""
    try:
        found = steps(text)
    except ValueError:
        return
    assert steps(written(found)) == found
