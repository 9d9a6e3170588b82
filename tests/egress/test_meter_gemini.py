"""Gemini by table: what a request can take, what is refused by name, what an answer took."""

from __future__ import annotations

import json
from typing import Any

import pytest

from boatwright.egress.meter import by_path, count_by_path, gemini, without_key
from boatwright.egress.meter.protocol import Ask
from boatwright.rules.bound import ROUTE_TOKENS, Bound, Refusal
from boatwright.values.usage import Usage

IMAGE = {"inlineData": {"mimeType": "image/png", "data": "A" * 90_000}}


def ask(**changes: Any) -> dict[str, Any]:
    return {"contents": [{"role": "user", "parts": [{"text": "hi"}]}], **changes}


def part(**fields: Any) -> dict[str, Any]:
    return ask(contents=[{"role": "user", "parts": [fields]}])


def bound(body: dict[str, Any], *allow: str) -> Bound:
    return gemini.bound_of(body, Ask("scripted", allow_fields=allow), model="m", stream=False)


@pytest.mark.parametrize(
    ("path", "model", "stream", "queries"),
    [
        ("/v1beta/models/gemini-2.5-pro:generateContent", "gemini-2.5-pro", False, {"", "alt=json"}),
        ("/v1beta/models/gemini-2.5-pro:streamGenerateContent", "gemini-2.5-pro", True, {"alt=sse"}),
        ("/v1/models/m:generateContent", "m", False, {"", "alt=json"}),
    ],
)
def test_the_path_names_the_model(path: str, model: str, stream: bool, queries: set[str]) -> None:
    found = by_path(path)
    assert found is not None and (found.name, found.path, found.queries) == ("gemini", path, queries)
    told = found.bound(ask(), Ask("scripted"))
    assert (told.model, told.stream) == (model, stream)


@pytest.mark.parametrize(
    "path",
    ["/v1beta/models/m:batchGenerateContent", "/v1beta/models/m:embedContent", "/v1beta/models/m:predict",
     "/v1beta/models/a%2Fb:generateContent", "/v1beta/models/../x:generateContent", "/v1beta/cachedContents",
     "/v1beta/models/m", "/v1beta/tunedModels/m:generateContent", "/v1beta/models/m:generateContent/x",
     "/v1beta/models/m:generateContent\n", "/upload/v1beta/files"],
)  # fmt: skip
def test_no_other_path_of_gemini(path: str) -> None:
    assert by_path(path) is None and count_by_path(path) is None


def test_paths_that_count_tokens() -> None:
    assert count_by_path("/v1beta/models/m:countTokens") == ("gemini", "totalTokens")
    assert count_by_path("/v1/messages/count_tokens") == ("anthropic", "input_tokens")
    assert count_by_path("/v1/messages") is None


@pytest.mark.parametrize(
    ("query", "kept"),
    [("", ""), ("alt=sse", "alt=sse"), ("key=secret&alt=sse", "alt=sse"), ("alt=sse&key=", "alt=sse"),
     ("key=a&key=b", ""), ("monkey=1", "monkey=1")],
)  # fmt: skip
def test_a_key_in_the_query_stays_here(query: str, kept: str) -> None:
    assert without_key(query) == kept


def test_the_bound_is_bytes_and_a_constant() -> None:
    body = ask(systemInstruction={"parts": [{"text": "é" * 1_000}]}, generationConfig={"maxOutputTokens": 99})
    found = bound(body)
    plain = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    assert found.sent_tokens == len(plain) + ROUTE_TOKENS
    assert (found.most, found.least, found.answers) == (99, 99, 1)


@pytest.mark.parametrize(
    ("config", "most", "least", "answers"),
    [
        (None, gemini.DEFAULT_ANSWER, 1_024, 1),
        ({"maxOutputTokens": 50, "candidateCount": 3}, 50, 50, 3),
        ({"max_output_tokens": 50, "candidate_count": 2}, 50, 50, 2),
        ({"thinkingConfig": {"thinkingBudget": 8_192}}, gemini.DEFAULT_ANSWER + 8_192, 8_193, 1),
        ({"thinking_config": {"thinking_budget": 100}}, gemini.DEFAULT_ANSWER + 100, 1_024, 1),
        ({"thinkingConfig": {"thinkingBudget": -1}}, gemini.DEFAULT_ANSWER, 1_024, 1),
        ({"thinkingConfig": {"thinkingLevel": "HIGH"}}, gemini.DEFAULT_ANSWER, 1_024, 1),
    ],
)
def test_limits(config: Any, most: int, least: int, answers: int) -> None:
    body = ask(generationConfig=config)
    found = bound(body)
    assert (found.most, found.least, found.answers) == (most, least, answers)
    assert body["generationConfig"]["maxOutputTokens"] == most
    gemini.limit(body, 5)
    assert body["generationConfig"]["maxOutputTokens"] == 5


def test_an_image_counts_as_its_maximum_wherever_it_stands() -> None:
    answer = {"functionResponse": {"name": "f", "response": {}, "parts": [IMAGE]}}
    snake = {"inline_data": {"mime_type": "image/png", "data": "A" * 90_000}}
    found = bound(ask(contents=[{"role": "user", "parts": [IMAGE, answer, snake]}]))
    assert 3 * gemini.IMAGE_TOKENS < found.sent_tokens < 3 * gemini.IMAGE_TOKENS + 5_000


TAKEN = {
    "functions": ask(tools=[{"functionDeclarations": [{"name": "f"}]}]),
    "functions, spelled otherwise": ask(tools=[{"function_declarations": [{"name": "f"}]}]),
    "system, spelled otherwise": ask(system_instruction={"parts": {"text": "x"}}),
    "call": part(functionCall={"name": "f", "args": {"file_data": 1}}, thoughtSignature="AAAA"),
    "thought": part(text="hm", thought=True),
    "schema": ask(generationConfig={"responseMimeType": "application/json", "responseJsonSchema": {}}),
    "safety": ask(safetySettings=[], toolConfig={}, labels={}),
}


@pytest.mark.parametrize("name", TAKEN)
def test_taken(name: str) -> None:
    assert bound(TAKEN[name]).model == "m"


REFUSED = {
    "cachedContent": ask(cachedContent="cachedContents/1"),
    "store": ask(store=True),
    "serviceTier": ask(serviceTier="priority"),
    "brandNew": ask(brandNew=1),
    "googleSearch": ask(tools=[{"googleSearch": {}}]),
    "googleSearchRetrieval": ask(tools=[{"google_search_retrieval": {}}]),
    "codeExecution": ask(tools=[{"codeExecution": {}}]),
    "urlContext": ask(tools=[{"functionDeclarations": [], "url_context": {}}]),
    "googleMaps": ask(tools=[{"googleMaps": {}}]),
    "fileSearch": ask(tools=[{"fileSearch": {}}]),
    "computerUse": ask(tools=[{"computerUse": {}}]),
    "fileData": part(fileData={"fileUri": "https://a.example/b"}),
    "executableCode": part(executableCode={}),
    "videoMetadata": part(text="x", videoMetadata={}),
    "inlineData": part(inlineData={"mimeType": "application/pdf", "data": "AAAA"}),
    "speechConfig": ask(generationConfig={"speechConfig": {}}),
    "responseModalities": ask(generationConfig={"responseModalities": ["TEXT", "IMAGE"]}),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_body_does_not_bound_is_refused_by_name_unless_allowed(name: str) -> None:
    with pytest.raises(Refusal) as refused:
        bound(REFUSED[name])
    assert refused.value.next_moves == (f"an operator may set wire.allow_fields: [{name}]",)
    bound(REFUSED[name], name)


NEVER = {
    "cached, spelled otherwise": ask(cached_content="cachedContents/1"),
    "file, spelled otherwise": part(file_data={"file_uri": "https://a.example/b"}),
    "both spellings": ask(system_instruction={}, systemInstruction={}),
    "both limits": ask(generationConfig={"maxOutputTokens": 5, "max_output_tokens": 500_000}),
    "both configurations": ask(generationConfig={}, generation_config={}),
    "hidden in a result": part(functionResponse={"name": "f", "parts": [{"fileData": {"fileUri": "u"}}]}),
    "hidden in the system": ask(systemInstruction={"parts": [{"fileData": {"fileUri": "u"}}]}),
    "hidden in one part": ask(contents=[{"parts": {"fileData": {"fileUri": "u"}}}]),
    "candidates": ask(generationConfig={"candidateCount": 99}),
    "limit 0": ask(generationConfig={"maxOutputTokens": 0}),
    "limit text": ask(generationConfig={"maxOutputTokens": "9"}),
    "thinking text": ask(generationConfig={"thinkingConfig": {"thinkingBudget": "9"}}),
    "no contents": {},
    "contents text": {"contents": "hi"},
    "image of numbers": part(inlineData={"mimeType": "image/png", "data": 5}),
}


@pytest.mark.parametrize("name", NEVER)
def test_refused(name: str) -> None:
    with pytest.raises(Refusal):
        bound(NEVER[name])


# --- answers ---


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"promptTokenCount": 9, "candidatesTokenCount": 3, "totalTokenCount": 12}, Usage(input=9, output=3)),
        (  # thoughts are outside the candidates, what tools brought in is outside the prompt, cached inside
            {"promptTokenCount": 100, "cachedContentTokenCount": 60, "candidatesTokenCount": 10,
             "thoughtsTokenCount": 30, "toolUsePromptTokenCount": 7, "totalTokenCount": 147},
            Usage(input=40, cache_read=60, tool_input=7, output=40, reasoning=30),
        ),
        ({"promptTokenCount": 9, "totalTokenCount": 20}, Usage(input=9, output=11)),
        ({"promptTokenCount": 9}, Usage(input=9)),
        ({"promptTokenCount": 9, "thoughtsTokenCount": 5}, Usage(input=9, output=5, reasoning=5)),
        ({"candidatesTokenCount": 9}, None),
        (None, None),
    ],
)  # fmt: skip
def test_reads(usage: Any, expected: Usage | None) -> None:
    reading = gemini.read({"usageMetadata": usage})
    assert (reading.usage if reading else None) == expected


def chunk(prompt: int, output: int, finish: str | None = None) -> dict[str, Any]:
    candidate = {"content": {}, **({"finishReason": finish} if finish else {})}
    usage = {"promptTokenCount": prompt, "candidatesTokenCount": output}
    return {"candidates": [candidate], "usageMetadata": usage}


BLOCKED = {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 9}}


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ((), None),
        ((chunk(9, 1),), None),  # nobody finished: it was cut
        ((chunk(9, 1), chunk(9, 4), chunk(9, 8, "STOP")), Usage(input=9, output=8)),  # the last ones, no sum
        ((chunk(9, 1), chunk(9, 2, "STOP"), chunk(9, 8)), Usage(input=9, output=8)),
        ((chunk(9, 5, "MAX_TOKENS"), {"candidates": []}), Usage(input=9, output=5)),
        ((chunk(9, 1), {"candidates": [{"finishReason": "STOP"}]}), Usage(input=9, output=1)),
        (({"candidates": [{"finishReason": "STOP"}]},), None),
        ((BLOCKED,), Usage(input=9)),
        ((chunk(9, 1), {"error": {"code": 503}}), None),
        (({"candidates": None}, {"candidates": [None]}), None),
    ],
)
def test_streams(events: tuple[Any, ...], expected: Usage | None) -> None:
    stream = gemini.Stream()
    for event in events:
        assert stream.event(json.dumps(event).encode())
    reading = stream.reading()
    assert (reading.usage if reading else None, stream.complete) == (expected, False)


def test_what_is_no_json_is_shown_and_not_counted() -> None:
    stream = gemini.Stream()
    assert stream.event(b"{") and stream.reading() is None
