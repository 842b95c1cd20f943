"""Refusals and errors as servers word them, and what they stand for."""

from __future__ import annotations

import json

import pytest

from agentflow_openai._complaint import Complaint, read_complaint
from agentflow_openai._dialect import ChatDialect
from agentflow_openai._faults import interruption
from agentflow_openai._limits import read_duration, read_reset
from agentflow_openai.settings import OpenAISettings


def error(message: str = "Words", type: str = "invalid_request_error", code=None, param=None) -> bytes:
    return json.dumps({"error": {"message": message, "type": type, "param": param, "code": code}}).encode()


def refuse(status: int, body: bytes, headers=None):
    return ChatDialect(OpenAISettings()).fault(status, headers or {}, body)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, error(code="context_length_exceeded"), "prompt"),
        (400, error(type="exceed_context_size_error", code=400), "prompt"),
        (400, error("This model's maximum context length is 8192 tokens.", "BadRequestError", 400), "prompt"),
        (413, error(), "prompt"),
        (429, error("Request too large for gpt-4.1: Limit 30000", "tokens", "rate_limit_exceeded"), "prompt"),
        (404, error(code="model_not_found"), "model"),
        (403, error("Project has no access to model `x`", code="model_not_found"), "model"),
        (404, error("The model `x` does not exist.", "NotFoundError", 404), "model"),
        (404, error('model "x" not found, try pulling it first', "api_error"), "model"),
        (404, b'{"error": "model \'x\' not found"}', "model"),
        (404, b'{"object": "error", "message": "The model `x` does not exist.", "code": 404}', "model"),
        (404, b'{"detail": "Not Found"}', "usage"),
        (401, error(code="invalid_api_key"), "credential"),
        (401, b"", "credential"),
        (403, error("You may not", "permission_error"), "credential"),
        (403, error(code="unsupported_country_region_territory", type="request_forbidden"), "refused"),
        (402, error("Insufficient Balance", "unknown_error", "insufficient_balance"), "refused"),
        (429, error(type="insufficient_quota", code="insufficient_quota"), "refused"),
        (429, error(type="requests", code="rate_limit_exceeded"), "rate"),
        (429, b"<html>Too many</html>", "rate"),
        (400, error(code="content_filter"), "refused"),
        (400, error(), "usage"),
        (422, b'{"detail": [{"loc": ["body", "tools"], "msg": "bad"}]}', "usage"),
        (500, error("The server had an error", "server_error"), "unavailable"),
        (503, error("Overloaded", "service_unavailable", "server_is_overloaded"), "unavailable"),
        (502, b"<html>Bad gateway</html>", "unavailable"),
        (500, error("input exceeds the context window", "api_error"), "prompt"),
    ],
)
def test_refusals_have_a_kind(status, body, kind) -> None:
    assert refuse(status, body).kind == kind


def test_overload_is_known_not_to_have_been_executed_other_server_errors_are_left_open() -> None:
    assert refuse(503, error(code="server_is_overloaded")).executed == "no"
    assert refuse(500, error(type="server_error")).executed is None


def test_a_fault_carries_the_servers_words_and_its_name_for_it() -> None:
    fault = refuse(400, error("Bad value for 'n'", code="invalid_value"))
    assert (fault.type, fault.message) == ("invalid_value", "Bad value for 'n'")
    assert refuse(400, error("Bad", "BadRequestError", 400)).type == "BadRequestError"


@pytest.mark.parametrize(
    ("param", "setting"),
    [
        ("reasoning_effort", "'reasoning_effort'"),
        ("max_tokens", "'max_tokens_field'"),
        ("max_completion_tokens", "'max_tokens_field'"),
        ("response_format", "'structured'"),
        ("stream_options", "'stream_usage'"),
    ],
)
def test_a_field_that_a_setting_decides_names_the_setting(param, setting) -> None:
    assert setting in refuse(400, error("Unsupported parameter", param=param)).message


def test_a_wrong_path_names_the_base_url() -> None:
    assert "'base_url'" in refuse(404, b'{"detail": "Not Found"}').message
    assert "'base_url'" in refuse(404, b"").message


def test_the_key_that_a_server_repeats_is_hidden() -> None:
    """Even the vendor's own form with stars in the middle."""
    said = "Incorrect API key provided: sk-proj-ab******wxyz. You can find yours at https://example.org."
    assert "wxyz" not in refuse(401, error(said, code="invalid_api_key")).message
    assert "ABC123" not in refuse(401, error("Incorrect API key provided: ABC123.")).message


@pytest.mark.parametrize("body", [b"", b"<html></html>", b"\xff", b"[]", b"null", b'{"error": null}', b'{"error": {}}'])
def test_a_body_without_a_complaint_leaves_the_status_to_speak(body) -> None:
    assert refuse(500, body).kind == "unavailable"


def test_plain_text_is_the_message() -> None:
    assert refuse(500, b"upstream connect error").message == "upstream connect error"


def test_long_words_are_cut() -> None:
    assert len(refuse(400, error("x" * 10_000)).message) < 600


def test_a_list_of_errors_is_read_by_its_first() -> None:
    assert refuse(400, json.dumps([{"error": {"message": "Words", "code": 400}}]).encode()).message == "Words"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"retry-after-ms": "1500"}, 1.5),
        ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
        ({"retry-after": "7", "x-ratelimit-reset-requests": "1m0s"}, None),
        ({"x-ratelimit-reset-requests": "12ms"}, 0.012),
        ({"x-ratelimit-reset-tokens": "6m0s"}, 360.0),
        ({"x-ratelimit-reset-requests": "1s", "x-ratelimit-reset-tokens": "4s"}, 4.0),
        (
            {
                "x-ratelimit-reset-requests": "8s",
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-tokens": "6m0s",
                "x-ratelimit-remaining-tokens": "9000",
            },
            8.0,
        ),
        ({"x-ratelimit-reset-requests": "soon"}, None),
        ({}, None),
    ],
)
def test_how_long_to_wait_is_read_from_the_vendors_headers(headers, expected) -> None:
    """``None`` leaves it to ``Retry-After``, which every service has in the same form."""
    assert refuse(429, error(code="rate_limit_exceeded"), headers).retry_after_s == expected


def test_the_state_of_the_limits_says_nothing_about_other_refusals() -> None:
    assert refuse(500, b"", {"x-ratelimit-reset-requests": "8s"}).retry_after_s is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("12ms", 0.012), ("1s", 1.0), ("6m0s", 360.0), ("1h2m3.5s", 3_723.5), ("2d", 172_800.0), ("7.66", 7.66)]
    + [(text, None) for text in ("", "soon", "1763717000", "-1", "nan", "1x", "2026-11-21T00:00:00Z")],
)
def test_durations_are_read_as_the_vendor_writes_them(text, seconds) -> None:
    """A number too large for a wait is a point in time, which nobody promised to be one."""
    assert read_duration(text) == seconds


def test_a_reset_without_a_limit_is_unknown() -> None:
    assert read_reset({}) is None


@pytest.mark.parametrize(
    ("document", "begun", "kind", "executed"),
    [
        ({"error": {"message": "Busy", "code": "server_is_overloaded"}}, False, "unavailable", "no"),
        ({"error": {"message": "Busy", "code": "server_is_overloaded"}}, True, "unavailable", "maybe"),
        ({"error": {"message": "Slow", "code": "rate_limit_exceeded"}}, False, "rate", "no"),
        ({"error": {"message": "Slow", "code": "rate_limit_exceeded"}}, True, "rate", "maybe"),
        ({"error": {"message": "Slow", "code": 429}}, True, "rate", "maybe"),
        ({"error": {"message": "Bad", "code": 400, "type": "BadRequestError"}}, False, "usage", "maybe"),
        ({"error": {"message": "Oops", "type": "server_error"}}, False, "unavailable", "maybe"),
        ({"error": "it broke"}, True, "unavailable", "maybe"),
        ({"object": "error", "message": "x", "code": 500}, False, "unavailable", "maybe"),
    ],
)
def test_errors_inside_a_stream_have_a_kind(document, begun, kind, executed) -> None:
    complaint = read_complaint(document)
    assert complaint is not None
    fault = interruption(complaint, begun=begun)
    assert (fault.kind, fault.executed) == (kind, executed)


@pytest.mark.parametrize("document", [{"choices": []}, {"error": None}, {}, [], None, "text", {"detail": ""}])
def test_what_is_no_complaint_is_none(document) -> None:
    assert read_complaint(document) is None


def test_an_empty_error_is_a_complaint_without_words() -> None:
    assert read_complaint({"error": {}}) == Complaint("")
