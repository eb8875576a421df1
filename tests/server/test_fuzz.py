"""The OpenAPI document, fuzzed with a token that may do everything: no request gets a 5xx, errors are problems."""

from __future__ import annotations

import shutil
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from headway.contract.problems import MEDIA_TYPE
from headway_server.app import Server
from headway_server.settings import Settings

from .conftest import Prepared, start
from .world import FakeClock

EXAMPLES = settings(
    max_examples=5,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],
)
schemathesis = pytest.importorskip("schemathesis", reason="needs the extra dev")


@pytest.fixture(scope="module")
def fuzzed(prepared: dict[bool, Prepared], tmp_path_factory: pytest.TempPathFactory) -> Server:
    folder = tmp_path_factory.mktemp("fuzz") / "data"
    shutil.copytree(prepared[True].folder, folder)
    return start(Settings(data_dir=folder, outcomes_burst=100_000), FakeClock())


def fuzz(operation: Any, headers: dict[str, str]) -> set[int]:
    """Statuses of a few drawn requests of one operation; fails for a 5xx or an error that is no problem document."""
    statuses: set[int] = set()

    @EXAMPLES
    @given(case=operation.as_strategy())
    def one(case: Any) -> None:
        if "app" in (case.path_parameters or {}):
            case.path_parameters["app"] = "reader"
        answer = case.call(headers=headers)
        statuses.add(answer.status_code)
        assert answer.status_code < 500, answer.text
        if answer.status_code >= 400:
            assert answer.headers["content-type"] == [MEDIA_TYPE], answer.headers

    one()
    return statuses


def test_no_request_breaks_the_server(fuzzed: Server, prepared: dict[bool, Prepared]) -> None:
    """Requests of every operation, drawn from the document that the server itself serves."""
    document = schemathesis.openapi.from_wsgi("/openapi/openapi.json", fuzzed.app)
    headers = {"Authorization": f"Bearer {prepared[True].admin}"}
    operations = [result.ok() for result in document.get_all_operations()]
    seen = {operation.label: fuzz(operation, headers) for operation in operations}
    assert len(seen) >= 30
    assert sum(1 for statuses in seen.values() if any(status < 300 for status in statuses)) >= 10
