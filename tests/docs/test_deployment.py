"""The files under examples/production are those of a service that starts, as far as that can be seen without starting
containers."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from documents import ROOT

from service.cli import _parser
from service.config import Config, DatabaseKind, LiveKind, load_config

HERE = ROOT / "examples" / "production"
CONTAINERFILE = (ROOT / "Containerfile").read_text()


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """With the values of env.example put in."""
    env = dict(
        line.split("=", 1) for line in (HERE / "env.example").read_text().splitlines() if not line.startswith("#")
    )
    text = (HERE / "compose.yaml").read_text()
    wanted = set(re.findall(r"\$\{(\w+)", text))
    assert wanted == set(env)
    filled = re.sub(r"\$\{(\w+):\?[^}]*\}", lambda match: env[match[1]], text)
    assert "$" not in filled
    found: dict[str, Any] = yaml.safe_load(filled)
    return found


@pytest.fixture(scope="module")
def config(compose: dict[str, Any]) -> Config:
    return load_config(HERE / "config.yaml", compose["services"]["fediviews"]["environment"])


def test_the_service_finds_its_stores(compose: dict[str, Any], config: Config) -> None:
    services, storage = compose["services"], config.storage
    assert storage.database.kind is DatabaseKind.POSTGRESQL
    assert storage.live.kind is LiveKind.REDIS
    database, live = urlsplit(storage.database.url or ""), urlsplit(storage.live.url or "")
    assert database.hostname in services
    assert live.hostname in services
    assert set(services["fediviews"]["depends_on"]) == {database.hostname, live.hostname}
    postgres = services[database.hostname]["environment"]
    assert (database.username, database.password, database.path[1:]) == tuple(
        postgres[f"POSTGRES_{name}"] for name in ("USER", "PASSWORD", "DB")
    )
    assert all("test" in services[name]["healthcheck"] for name in (database.hostname, live.hostname))


def test_the_stores_are_of_a_version_and_a_kind_that_will_do(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert int(services["postgres"]["image"].split(":")[1].split("-")[0]) >= 15
    said = dict(zip(*[iter(services["redis"]["command"][1:])] * 2, strict=True))
    assert (said["--appendonly"], said["--appendfsync"]) == ("yes", "everysec")
    assert said["--maxmemory-policy"] == "noeviction"


def test_what_has_to_last_lies_in_volumes(compose: dict[str, Any], config: Config) -> None:
    mounted = {}
    for name, service in compose["services"].items():
        for volume in service["volumes"]:
            source, target, *_ = volume.split(":")
            mounted[name, target] = source
            assert source.startswith("./") or source in compose["volumes"]
    assert mounted["fediviews", "/srv/config.yaml"] == "./config.yaml"
    assert "WORKDIR /srv" in CONTAINERFILE
    assert config.storage.directory == HERE / "data"
    assert ("fediviews", "/srv/data") in mounted


def test_the_port_is_the_services_and_open_to_this_machine_alone(compose: dict[str, Any], config: Config) -> None:
    [port] = compose["services"]["fediviews"]["ports"]
    assert port == f"127.0.0.1:{config.listen.port}:{config.listen.port}"
    assert config.listen.host == "0.0.0.0"
    assert all("ports" not in compose["services"][name] for name in ("redis", "postgres"))


def test_the_container_runs_a_command_that_exists(compose: dict[str, Any]) -> None:
    entry = re.search(r"^ENTRYPOINT (\[.*\])$", CONTAINERFILE, re.MULTILINE)
    assert entry is not None
    words = [*yaml.safe_load(entry[1]), *compose["services"]["fediviews"]["command"]]
    assert Path(words[0]).name == "fediviews"
    parsed = _parser().parse_args(words[1:])
    assert parsed.config == Path("config.yaml")
    build = compose["services"]["fediviews"]["build"]
    assert (HERE / build["context"] / build["dockerfile"]).resolve() == ROOT / "Containerfile"


def test_the_unit_runs_commands_that_exist() -> None:
    said: dict[str, list[str]] = {}
    for line in (HERE / "fediviews.service").read_text().splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            said.setdefault(key, []).append(value)
    home, user = said["WorkingDirectory"][0], said["User"][0]
    making, checking = said["ExecStartPre"]
    for command in (checking, *said["ExecStart"]):
        program, *words = shlex.split(command)
        assert program == f"{home}/.venv/bin/fediviews"
        assert _parser().parse_args(words).config == Path("config.yaml")
    # Without the directory there is no sandbox, and inside of it nobody could make it.
    [written] = said["ReadWritePaths"]
    assert written == f"{home}/data"
    assert shlex.split(making) == ["+/usr/bin/install", "-d", "-o", user, "-m", "700", written]
    assert said["ExecReload"][0].endswith("-HUP $MAINPID")


def test_every_package_that_ships_is_in_the_container() -> None:
    packages = re.search(r"^PACKAGES := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert packages is not None
    for package in packages[1].split():
        assert f"COPY {package} {package}" in CONTAINERFILE
