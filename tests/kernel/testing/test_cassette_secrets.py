"""No secret reaches the file of a cassette, and what was recorded with one key is replayed with another."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from cassette_kit import CONTEXT, Streaming, ask, contents, lookup, record, replay, reply, written
from hypothesis import given
from hypothesis import strategies as st

from agentflow_kernel.errors import CredentialRefused
from agentflow_kernel.testing import Cassette, CassetteMiss, CassetteRules, ScriptedProvider, replace_text
from agentflow_kernel.testing.cassette_redaction import Redactor

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

CANARY = 'canary-7f3e"é\n-value'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "calls.json"


def redact(document: Any, **rules: Any) -> Any:
    return Redactor(CassetteRules(**rules)).redact(document)


FORMS = {
    "bare": CANARY,
    "in JSON": json.dumps({"x": CANARY}),
    "in JSON in JSON": json.dumps({"x": json.dumps(CANARY)}),
    "in JSON, not escaped": json.dumps({"x": CANARY}, ensure_ascii=False),
    "in a URL": f"https://host.example/?k={quote(CANARY, safe='')}",
    "in base64": base64.b64encode(CANARY.encode()).decode(),
}


@pytest.mark.parametrize("form", FORMS)
async def test_a_given_secret_is_nowhere_in_the_file(path: Path, form: str) -> None:
    """Not in requests, replies, arguments, results, names of fields, errors, streams or descriptions of tools."""
    text = f"see {FORMS[form]} here"
    rules = CassetteRules(secrets=[CANARY])

    async def work(cassette: Cassette) -> None:
        provider = cassette.provider(ScriptedProvider([reply(text), CredentialRefused(text)]))
        await provider.complete(ask(text))
        with pytest.raises(CredentialRefused):
            await provider.complete(ask("again"))
        [piece async for piece in cassette.provider(Streaming([text]), name="streaming").stream(ask(text))]
        table = {"a": {text: [text]}, "b": ValueError(text)}
        real = lookup(table)
        real.add("other", real._tools["get"][1], description=text)
        toolset = cassette.toolset(real, name="kit")
        await toolset.call("get", {"name": "a", text: {"x": [text]}}, CONTEXT)
        with pytest.raises(ValueError, match=r"see|redacted"):
            await toolset.call("get", {"name": "b"}, CONTEXT)

    await record(path, work, rules)
    file = written(path)
    for found in (*FORMS.values(), CANARY.replace("\n", "\\n"), "canary", quote(CANARY)):
        assert found not in file
    assert "<redacted:1>" in file
    await replay(path, work, rules)


@pytest.mark.parametrize("name", ["MY_API_KEY", "my_token", "APP_SECRET", "DB_PASSWORD"])
async def test_secrets_in_the_environment_are_known_by_the_names_of_their_variables(
    path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Also one that is set while the test runs."""

    async def work(cassette: Cassette) -> None:
        monkeypatch.setenv(name, "opensesame")
        await cassette.provider(ScriptedProvider(["x"])).complete(ask("say opensesame"))

    monkeypatch.delenv(name, raising=False)
    await record(path, work)
    assert contents(path)["calls"][0]["request"]["messages"][0]["text"] == "say <redacted:1>"
    await replay(path, work)


def test_short_values_of_the_environment_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """They stand in too many words; the rules can name them."""
    monkeypatch.setenv("SORT_KEY", "name")
    assert redact("the name") == "the name"
    assert redact("the name", secrets=["name"]) == "the <redacted:1>"


async def test_a_recording_made_with_one_key_is_replayed_with_another(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(cassette: Cassette, key: str) -> None:
        monkeypatch.setenv("MY_API_KEY", key)
        await cassette.provider(ScriptedProvider(["x"])).complete(ask(f"use {key} and {key}"))

    await record(path, lambda cassette: work(cassette, "first-key-1"))
    monkeypatch.setenv("MY_API_KEY", "second-key-22")
    await replay(path, lambda cassette: work(cassette, "second-key-22"))
    with pytest.raises(CassetteMiss) as caught:
        await replay(path, lambda cassette: work(cassette, "short"))
    assert "first-key" not in str(caught.value)
    assert caught.value.differences[0].recorded == "use <redacted> and <redacted>"


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("Authorization: Bearer abc.DEF-123", "Authorization: Bearer <redacted:1>"),
        ("key sk-proj-abcdefghijkl.", "key <redacted:1>."),
        ("AKIAIOSFODNN7EXAMPLE", "<redacted:1>"),
        ("ghp_0123456789abcdefghij", "<redacted:1>"),
        ("postgres://app:s3cr3t@db.example/x", "postgres://app:<redacted:1>@db.example/x"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl!", "<redacted:1>!"),
        ("k=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY0;", "k=<redacted:1>;"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY-----", "<redacted:1>"),
        ('{"password": "swordfish"}', '{"password": "<redacted:1>"}'),
        ("{'api_key': 'swordfish', 'x': 1}", "{'api_key': '<redacted:1>', 'x': 1}"),
        (r"{\"Api-Key\": \"swordfish\"}", r"{\"Api-Key\": \"<redacted:1>\"}"),
        ("login?password=swordfish&x=1", "login?password=<redacted:1>&x=1"),
    ],
)
def test_secrets_are_known_by_their_form(text: str, redacted: str) -> None:
    assert redact(text) == redacted


@pytest.mark.parametrize(
    "text",
    [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "01a1fd92-12fe-7da9-9805-2d5227c69dcb",
        "Failed password for root from 192.0.2.1 port 22 ssh2",
        "the tokens: 5 of max_tokens",
        "https://host.example/a/b/c",
        "sk-learn",
        "A" * 60,
        base64.b64encode(bytes(range(256)) * 8).decode(),
    ],
)
def test_what_only_looks_like_a_secret_stays(text: str) -> None:
    """Hashes, ids, plain words, and long content in base64, such as an image."""
    assert redact(text) == text


def test_secrets_are_known_by_the_names_of_their_fields() -> None:
    """Texts, numbers and lists of them; objects have fields of their own, as in a schema."""
    document = {
        "api_key": "a", "Authorization": "b", "X-Api-Key": "c", "clientSecret": "d", "password": 1234, "token": None,
        "credentials": ["e", "f"], "cookie": "", "tokens": 5,
        "properties": {"password": {"type": "string"}}, "required": ["password"],
    }  # fmt: skip
    assert redact(document) == {
        "api_key": "<redacted:1>", "Authorization": "<redacted:2>", "X-Api-Key": "<redacted:3>",
        "clientSecret": "<redacted:4>", "password": "<redacted:5>", "token": None,
        "credentials": ["<redacted:6>", "<redacted:7>"], "cookie": "", "tokens": 5,
        "properties": {"password": {"type": "string"}}, "required": ["password"],
    }  # fmt: skip


async def test_what_a_tool_gave_in_a_secret_field_is_secret_in_all_calls(path: Path) -> None:
    """Also in those recorded before; the same secret has the same placeholder throughout the file."""

    async def work(cassette: Cassette) -> None:
        provider = cassette.provider(ScriptedProvider(["x", "y"]))
        toolset = cassette.toolset(lookup({"a": {"password": "swordfish7", "session_token": "other-8"}}), name="kit")
        found: Any = await toolset.call("get", {"name": "a"}, CONTEXT)
        await provider.complete(ask(f"enter {found['password']}, then {found['session_token']}"))
        await provider.complete(ask(f"said {found['password']}"))

    await record(path, work)
    assert "swordfish7" not in written(path)
    calls = contents(path)["calls"]
    assert calls[0]["result"] == {"password": "<redacted:1>", "session_token": "<redacted:2>"}
    assert calls[1]["request"]["messages"][0]["text"] == "enter <redacted:1>, then <redacted:2>"
    assert calls[2]["request"]["messages"][0]["text"] == "said <redacted:1>"
    await replay(path, work)


async def test_what_a_later_call_shows_to_be_secret_is_replaced_in_earlier_ones(path: Path) -> None:
    async def work(cassette: Cassette) -> None:
        provider = cassette.provider(ScriptedProvider(["x"]))
        toolset = cassette.toolset(lookup({"a": {"password": "swordfish7"}}), name="kit")
        await provider.complete(ask("try swordfish7"))
        await toolset.call("get", {"name": "a"}, CONTEXT)

    await record(path, work)
    assert "swordfish7" not in written(path)


def test_a_key_is_known_without_the_scheme_that_stands_before_it() -> None:
    assert redact({"authorization": "Bearer abc-123", "url": "?k=abc-123"})["url"] == "?k=<redacted:2>"


def test_a_plain_word_in_a_secret_field_is_replaced_there_only() -> None:
    """It is more often a description than a password, and stands in other texts by right."""
    assert redact({"password": "required", "text": "is required"}) == {
        "password": "<redacted:1>",
        "text": "is required",
    }


async def test_a_secret_cut_into_pieces_of_a_stream_is_found(path: Path) -> None:
    """The pieces that hold it together become one."""
    rules = CassetteRules(secrets=["open sesame now"])

    async def work(cassette: Cassette) -> str:
        pieces = [piece async for piece in cassette.provider(Streaming(["say open sesame now please"])).stream(ask())]
        return "".join(piece for piece in pieces if isinstance(piece, str))

    await record(path, work, rules)
    assert "sesame" not in written(path)
    assert await replay(path, work, rules) == "say <redacted:1> please "


async def test_own_functions_say_what_else_is_secret(path: Path) -> None:
    rules = CassetteRules(redact=[replace_text(r"\b\w+@\w+\.example\b", "<mail>")])

    async def work(cassette: Cassette, mail: str) -> None:
        toolset = cassette.toolset(lookup({"a": mail}), name="kit")
        await toolset.call("get", {"name": "a", "mail": [mail]}, CONTEXT)

    await record(path, lambda cassette: work(cassette, "ann@one.example"), rules)
    assert contents(path)["calls"][0]["request"] == {"name": "a", "mail": ["<mail>"]}
    assert contents(path)["calls"][0]["result"] == "<mail>"
    await replay(path, lambda cassette: work(cassette, "bob@two.example"), rules)


async def test_a_miss_shows_no_secret(path: Path) -> None:
    """Messages end up in logs of builds."""

    async def work(cassette: Cassette, text: str) -> None:
        await cassette.provider(ScriptedProvider(["x"])).complete(ask(f"{text} Bearer {CANARY[:11]}"))

    await record(path, lambda cassette: work(cassette, "a"))
    with pytest.raises(CassetteMiss) as caught:
        await replay(path, lambda cassette: work(cassette, "b"))
    assert "canary" not in str(caught.value)
    assert "b Bearer <redacted>" in str(caught.value)


LEAVES = st.none() | st.booleans() | st.integers(0, 10**9) | st.text("ab1 <>:", max_size=8) | st.sampled_from([
    "Bearer abc123def", "password=hunter22", "<redacted:1>", "Basic <redacted:2>", "secret", "s3cret-value"
])  # fmt: skip
NAMES = st.sampled_from(["a", "password", "token", "authorization", "s3cret-value", "b"])
DOCUMENTS = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4), max_leaves=12
)


@given(DOCUMENTS)
def test_redacting_twice_changes_nothing(document: Any) -> None:
    """What a replayed tool gave comes back in requests with the placeholders that it has."""
    redactor = Redactor(CassetteRules(secrets=["s3cret-value", "1", "redacted"]))
    once = redactor.redact(document)
    assert redactor.redact(once) == once
    assert Redactor(CassetteRules(secrets=["s3cret-value", "1", "redacted"])).redact(once) == once
    assert "s3cret-value" not in json.dumps(once)
