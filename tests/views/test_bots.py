from __future__ import annotations

import pytest
from multidict import CIMultiDict

from views.bots import LOOKED_AT, Crawlers, is_prefetch

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0"
CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/129.0.0.0 Safari/537.36"
)


@pytest.fixture(scope="module")
def is_crawler() -> Crawlers:
    return Crawlers()


@pytest.mark.parametrize(
    "user_agent",
    [
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
        "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)",
        "Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)",
        "Mozilla/5.0 (compatible; archive.org_bot +http://archive.org/details/archive.org_bot)",
    ],
)
def test_crawlers_are_known(is_crawler: Crawlers, user_agent: str) -> None:
    assert is_crawler(user_agent)
    assert is_crawler(user_agent), "remembered"


@pytest.mark.parametrize(
    "user_agent",
    [
        "",
        FIREFOX,
        CHROME,
        # A phone by the name of Cubot.
        "Mozilla/5.0 (Linux; Android 9; CUBOT_X19) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/81.0 Safari/537.36",
        # Apps and host applications, on the library they were built with.
        "okhttp/4.12.0",
        "curl/8.5.0",
        "Python/3.12 aiohttp/3.13.4",
        "python-requests/2.32",
        "axios/1.7",
        "Dart/3.4 (dart:io)",
        "AppleCoreMedia/1.0.0.20G75 (iPhone; U; CPU OS 16_6 like Mac OS X; en_us)",
        "ExoPlayerLib/2.19.1",
        # A browser that a test drives.
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/129.0.0.0 Safari/537.36",
    ],
)
def test_people_are_not_taken_for_crawlers(is_crawler: Crawlers, user_agent: str) -> None:
    assert not is_crawler(user_agent)


def test_only_the_beginning_of_a_long_name_is_looked_at(is_crawler: Crawlers) -> None:
    assert not is_crawler("x" * LOOKED_AT + " Googlebot/2.1")
    assert is_crawler("Googlebot/2.1 " + "x" * 100_000)


@pytest.mark.parametrize(
    ("name", "value", "ahead"),
    [
        ("Sec-Purpose", "prefetch", True),
        ("Sec-Purpose", "prefetch;prerender", True),
        ("sec-purpose", "Prefetch; anonymous-client-ip", True),
        ("Purpose", "prefetch", True),
        ("X-Purpose", "preview", True),
        ("X-Moz", "prefetch", True),
        ("Sec-Purpose", "", False),
        ("Sec-Purpose", "navigate", False),
        ("Accept", "prefetch", False),
    ],
)
def test_what_is_fetched_ahead_says_so(name: str, value: str, ahead: bool) -> None:
    assert is_prefetch(CIMultiDict({name: value})) is ahead
