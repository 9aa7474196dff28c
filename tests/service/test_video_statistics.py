"""The statistics of a video for a browser without scripts."""

from __future__ import annotations

import csv
import re
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from xml.etree import ElementTree

import aiohttp
import pytest

from foundation.clock import ManualClock
from foundation.principal import Role
from service.app import Service
from service.config import Config, Listen, Secret, Storage, Token, Views
from service.html.charts import HEIGHT, MAX_POINTS, WIDTH, chart_of, thinned
from views.model import Privacy, VideoDraft

UUID, LIVE, HIDDEN = (f"9c9de5e8-0a1e-484a-b099-e80766180a6{n}" for n in "def")
READER, OTHER = "a-readers-token", "a-token-of-another-channel"
HOSTILE = '"><script>alert(1)</script>'


@pytest.fixture
async def service(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Service]:
    config = Config(
        listen=Listen(port=0),
        storage=Storage(directory=tmp_path / "data"),
        views=Views(rate_limit=None),
        tokens=(
            Token(name="reader", role=Role.STATS, value=Secret(READER)),
            Token(name="other", role=Role.STATS, value=Secret(OTHER), channels=("clips",)),
        ),
    )
    service = await Service.create(config, clock=clock)
    await service.start()
    for uuid, more in ((UUID, {}), (LIVE, {"is_live": True}), (HIDDEN, {"privacy": Privacy.PRIVATE})):
        await service.views.catalog.put_local(VideoDraft(uuid, HOSTILE, 60, **more))
    yield service
    await service.stop()


async def watch(service: Service, uuid: str, *seconds: int) -> None:
    async with aiohttp.ClientSession() as http:
        for second in seconds:
            report = {"currentTime": second, "sessionId": "anna", "client": HOSTILE}
            async with http.post(f"{service.url}/api/v1/videos/{uuid}/views", json=report) as answer:
                assert answer.status == 204


async def send(
    service: Service, uuid: str = UUID, headers: Mapping[str, str] | None = None, **fields: str
) -> tuple[int, str, Mapping[str, str]]:
    said = {"Accept": "text/html", **(headers or {})}
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{service.url}/w/{uuid}", data=fields, headers=said) as answer,
    ):
        return answer.status, await answer.text(), answer.headers


async def test_a_token_in_the_form_shows_numbers_tables_and_pictures(service: Service, clock: ManualClock) -> None:
    await watch(service, UUID, 0)
    clock.advance(10_000)
    await watch(service, UUID, 10)
    status, page, headers = await send(service, token=READER)
    assert status == 200
    assert re.search(r"Viewers so far</dt><dd>1<", page)
    assert "100.0 %" in page or "100 %" in page
    pictures = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(pictures) == 3
    for picture in pictures:
        ElementTree.fromstring(picture)
    assert READER not in page
    assert "<script>alert" not in page
    assert headers["Cache-Control"] == "no-store"
    assert "Set-Cookie" not in headers
    assert "form-action 'self'" in headers["Content-Security-Policy"]


async def test_each_sheet_that_the_page_offers_is_csv(service: Service) -> None:
    await watch(service, UUID, 0, 1)
    _, page, _ = await send(service, token=READER)
    names = re.findall(r'name="show" value="([\w-]+)"', page)
    assert len(names) == 5
    for name in names:
        status, text, headers = await send(service, token=READER, show=name)
        assert (status, headers["Content-Type"]) == (200, "text/csv; charset=utf-8")
        assert len(next(csv.reader(text.splitlines()))) > 1
    assert (await send(service, token=READER, show=HOSTILE))[2]["Content-Type"] == "text/html; charset=utf-8"


async def test_nothing_watched_yet_and_live_streams_have_a_page_too(service: Service) -> None:
    status, page, _ = await send(service, token=READER)
    assert (status, "Nothing is known yet." in page) == (200, True)
    await watch(service, LIVE, 0)
    status, page, _ = await send(service, LIVE, token=READER)
    assert (status, "Retention" in page, "Viewers over time" in page) == (200, False, True)


@pytest.mark.parametrize("token", ["", "nonsense", "x" * 1_000, OTHER, "\x00\ud7ff"])
async def test_who_may_not_see_it_is_told_so_beside_the_form(service: Service, token: str) -> None:
    status, page, _ = await send(service, token=token)
    assert status == 403
    assert re.search(r'<p id="problem" role="alert">[^<]+</p>', page)
    assert "Viewers so far" not in page
    assert not token or token not in page


async def test_what_is_no_form_of_ours_is_refused(service: Service) -> None:
    assert (await send(service, HIDDEN, token=READER))[0] == 404
    assert (await send(service, "unknown", token=READER))[0] == 404
    assert (await send(service, headers={"Sec-Fetch-Site": "cross-site"}, token=READER))[0] == 403
    async with aiohttp.ClientSession() as http:
        for body, status in ((b"\xff\xfe", 400), (b"a=b&" * 100, 400), (b"x" * 20_000, 413), (b"", 403)):
            async with http.post(f"{service.url}/w/{UUID}", data=body) as answer:
                assert answer.status == status, body[:10]


def test_a_chart_stays_within_its_picture() -> None:
    assert chart_of([]) is None
    for values in ([0], [5], [0, 0, 0], [1, 1_000_000, 3], list(range(10 * MAX_POINTS))):
        chart = chart_of([(str(at), value) for at, value in enumerate(values)])
        assert chart is not None
        for x, y in re.findall(r"[ML]([\d.-]+),([\d.-]+)", chart.area):
            assert 0 <= float(x) <= WIDTH
            assert 0 <= float(y) <= HEIGHT
        assert chart.top >= max(values)
        assert chart.ends == ("0", str(len(values) - 1))


def test_thinning_keeps_the_peaks() -> None:
    values = [0.0] * 5_000
    values[3_333] = 7
    assert max(thinned(values)) == 7
    assert len(thinned(values)) <= MAX_POINTS
