"""The neighbours of these tests: Griptape Cloud and aimlapi as they document themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

import provider
from provider.emulator import Emulator, create_app
from tests.conftest import KEY
from tests.providers import aimlapi, griptape
from tests.providers.griptape import Cloud, uuid
from tests.providers.serving import Log, serving

ORGANIZATION = uuid(1)


@dataclass(frozen=True)
class Neighbours:
    """What the tests look at, and the environment in which the servers are found."""

    cloud: Cloud
    #: What Griptape's server was asked.
    griptape: Log
    #: What aimlapi's server was asked.
    aimlapi: Log
    environ: Mapping[str, str]


@pytest.fixture(scope="session")
def running(emulator: Emulator) -> Iterator[Neighbours]:
    """All three providers."""
    cloud, cloud_log, ai_log = Cloud(), Log(), Log()
    with ExitStack() as servers:
        gt_url = servers.enter_context(serving(cloud_log.wrap(griptape.app(cloud))))
        ai_url = servers.enter_context(serving(ai_log.wrap(aimlapi.app(create_app(step_seconds=0.01)))))
        environ = {
            "GT_CLOUD_API_KEY": griptape.KEY,
            "GT_CLOUD_BASE_URL": gt_url,
            "AIMLAPI_API_KEY": aimlapi.KEY,
            "AIMLAPI_BASE_URL": ai_url,
            "OPENAI_API_KEY": KEY,
            "OPENAI_BASE_URL": emulator.base_url,
        }
        yield Neighbours(cloud, cloud_log, ai_log, environ)


@pytest.fixture
def neighbours(running: Neighbours) -> Neighbours:
    """The same, with empty logs, and Griptape without objects."""
    running.cloud.clear()
    running.griptape.requests.clear()
    running.aimlapi.requests.clear()
    return running


@pytest.fixture
def conn(neighbours: Neighbours) -> Iterator[provider.Connection]:
    """A connection to all three."""
    with provider.connect(environ=neighbours.environ) as connection:
        yield connection
