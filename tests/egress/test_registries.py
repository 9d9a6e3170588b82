"""Asking this host's clients about registries, with stand-ins for the clients: no registry is spelled out
anywhere.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from boatwright.egress import registries
from boatwright.egress.registries import discover


class Host:
    """A PATH with only the clients a test puts on it, and a HOME of its own."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin"
        self.home = folder / "home"
        self.bin.mkdir()
        self.home.mkdir()

    def client(self, name: str, script: str) -> None:
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def environment(self, **more: str) -> dict[str, str]:
        return {"PATH": f"{self.bin}:/bin:/usr/bin" if not more.pop("alone", "") else str(self.bin),
                "HOME": str(self.home), **more}  # fmt: skip

    def pip(self, *lines: str, library: Path | None = None) -> None:
        listed = "\n".join(lines)
        place = library or "/nonexistent"
        self.client(
            "pip",
            f'case "$*" in --version) echo "pip 25.0 from {place}/pip (python 3.11)";;\n'
            f"\"config list\") /bin/cat <<'END'\n{listed}\nEND\n;; esac",
        )


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_nothing_on_path_is_nothing_found(host: Host) -> None:
    found = discover(host.environment(alone="1"))
    assert (found.hosts, found.file_sources, dict(found.client_environment)) == ((), (), {})


def test_a_configured_index_counts_and_its_password_stays_here(host: Host) -> None:
    host.pip("global.index-url='https://me:s%40cret@packages.corp.example:8443/simple/'")
    found = discover(host.environment(alone="1"))
    assert found.hosts == found.configured_hosts == ("packages.corp.example:8443",)
    assert found.client_environment["PIP_INDEX_URL"] == "https://packages.corp.example:8443/simple/"
    (login,) = found.logins
    assert (login.place, login.path, login.user) == ("packages.corp.example:8443", "/", "me")
    assert login.secret.reveal() == "s@cret"
    assert "s@cret" not in repr(found) and "s%40cret" not in repr(found)


def test_the_strongest_section_wins_and_file_sources_are_for_the_bottle_to_bind(
    host: Host, tmp_path: Path
) -> None:
    simple, wheels = tmp_path / "index" / "simple", tmp_path / "wheels"
    simple.mkdir(parents=True)
    wheels.mkdir()
    host.pip(
        "global.index-url='https://weak.example/simple'",
        ":env:.index-url='https://strong.example/simple'",
        f"global.extra-index-url='file://{simple} https://more.example/simple'",
        f"global.find-links='{wheels}'",
    )
    found = discover(host.environment(alone="1"))
    assert found.hosts == ("strong.example", "more.example")
    assert found.file_sources == (simple.parent, wheels)
    assert found.client_environment["PIP_EXTRA_INDEX_URL"] == f"file://{simple} https://more.example/simple"
    assert found.client_environment["PIP_FIND_LINKS"] == str(wheels)


def library(folder: Path) -> Path:
    package = folder / "lib" / "pip" / "_internal" / "models"
    package.mkdir(parents=True)
    for place in (package, package.parent, package.parent.parent):
        (place / "__init__.py").write_text("")
    (package / "index.py").write_text(
        "class PyPI:\n    simple_url = 'https://default.example/simple'\n    file_storage_domain = 'files.default.example'\n"
    )
    return folder / "lib"


def test_the_default_is_the_one_the_clients_library_knows(host: Host, tmp_path: Path) -> None:
    host.pip(library=library(tmp_path))
    found = discover(host.environment(alone="1"))
    assert found.hosts == ("default.example", "files.default.example")
    assert found.configured_hosts == () and "PIP_INDEX_URL" not in found.client_environment


def test_no_index_means_no_host(host: Host, tmp_path: Path) -> None:
    host.pip("global.no-index='true'", library=library(tmp_path))
    found = discover(host.environment(alone="1"))
    assert "default.example" not in found.hosts and found.client_environment["PIP_NO_INDEX"] == "true"


def test_uv_by_its_configuration_and_by_its_help(host: Host) -> None:
    host.client("uv", 'echo "  (by default: <https://uv-default.example/simple>)"')
    assert discover(host.environment(alone="1")).hosts == ("uv-default.example",)
    config = host.home / ".config" / "uv"
    config.mkdir(parents=True)
    (config / "uv.toml").write_text(
        '[[index]]\nname = "a"\nurl = "https://a.example/simple"\ndefault = true\n[[index]]\nurl = "https://b.example/s"\n'
    )
    found = discover(host.environment(alone="1"))
    assert found.hosts == ("a.example", "b.example")
    assert found.client_environment["UV_DEFAULT_INDEX"] == "https://a.example/simple"


def test_npm_says_its_registry_and_its_scopes(host: Host) -> None:
    host.client(
        "npm", """echo '{"registry": "https://npm.example/", "@corp:registry": "https://scoped.example/"}'"""
    )
    found = discover(host.environment(alone="1"))
    assert found.hosts == ("npm.example", "scoped.example")
    assert found.client_environment["NPM_CONFIG_REGISTRY"] == "https://npm.example/"


def test_npm_names_its_files_and_their_logins_stay_here(host: Host) -> None:
    (host.home / ".npmrc").write_text(
        "//npm.example/:_authToken=${TOKEN}\n//scoped.example/a/:_authToken=t0ken-two\n//other.example/:_authToken=x\n"
    )
    said = f"""{{"registry": "https://npm.example/", "@corp:registry": "https://scoped.example/a/",
        "userconfig": "{host.home}/.npmrc", "globalconfig": "/nonexistent/npmrc"}}"""
    host.client("npm", f"/bin/cat <<'END'\n{said}\nEND")
    found = discover(host.environment(alone="1", TOKEN="t0ken-one"))
    assert [(each.place, each.path, each.secret.reveal()) for each in found.logins] == [
        ("npm.example", "/", "t0ken-one"), ("scoped.example", "/a/", "t0ken-two")]  # fmt: skip
    assert found.scopes == {"@corp:registry": "https://scoped.example/a/"}
    assert "other.example" not in found.hosts and any("other.example" in note for note in found.notes)
    assert "t0ken" not in repr(found)


def test_of_two_logins_for_one_place_the_first_is_used_and_the_other_is_told(host: Host) -> None:
    host.pip("global.index-url='https://me:one@both.example/simple/'")
    (host.home / ".npmrc").write_text("//both.example/:_authToken=two\n")
    host.client(
        "npm", f"""echo '{{"registry": "https://both.example/", "userconfig": "{host.home}/.npmrc"}}'"""
    )
    found = discover(host.environment(alone="1"))
    assert [each.secret.reveal() for each in found.logins] == ["one"]
    assert any("has two logins on this host" in note for note in found.notes)


def test_cargo_by_its_configuration_else_by_the_constant_in_its_binary(host: Host) -> None:
    host.client("cargo", "# sparse+https://index.crate.example/")
    assert discover(host.environment(alone="1")).hosts == ("index.crate.example", "*.crate.example")
    home = host.home / ".cargo"
    home.mkdir()
    (home / "config.toml").write_text(
        '[source.crates-io]\nreplace-with = "m"\n[source.m]\nregistry = "sparse+https://mirror.example/index/"\n'
    )
    assert discover(host.environment(alone="1")).hosts == ("mirror.example",)


def test_go_proxies_and_checksums(host: Host) -> None:
    host.client("go", """echo '{"GOPROXY": "https://p.example,direct", "GOSUMDB": "sum.example"}'""")
    found = discover(host.environment(alone="1"))
    assert found.hosts == ("p.example", "sum.example")


def test_a_client_that_fails_says_nothing(host: Host) -> None:
    for name in ("pip", "uv", "npm", "go"):
        host.client(name, "exit 3")
    assert discover(host.environment(alone="1")).hosts == ()


def test_an_authority_of_the_hosts_own_goes_in_too(host: Host, tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.write_text("")
    found = discover(host.environment(alone="1", SSL_CERT_FILE=str(bundle)))
    assert found.client_environment["SSL_CERT_FILE"] == str(bundle) and found.file_sources == (bundle,)


def test_a_plain_http_source_is_noted(host: Host) -> None:
    host.pip("global.index-url='http://plain.example/simple'")
    assert any("without TLS" in note for note in discover(host.environment(alone="1")).notes)


def test_on_this_host_whatever_it_has() -> None:
    found = discover(dict(os.environ))
    assert all("://" not in host and "@" not in host for host in found.hosts)
    assert all(path.exists() for path in found.file_sources)
    assert registries.PROXY_ENVIRONMENT["HTTPS_PROXY"].startswith("http://127.0.0.1:")
