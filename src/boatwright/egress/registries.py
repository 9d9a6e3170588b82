"""Which package registries this host uses, asked of its own clients: pip, uv, npm, cargo, go.

No registry is named here. What a client is configured for counts; else its own default as it knows it (its
library, its help, its binary). A password in an address, or a token npm keeps, never goes into a bottle;
``file:`` sources are for the bottle to bind read-only.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from boatwright.config.secrets import Secret
from boatwright.egress import npmrc
from boatwright.egress.known_registries import Login, Registries
from boatwright.values.route import Form

PROXY_ENVIRONMENT = {
    "HTTPS_PROXY": "http://127.0.0.1:8080",
    "https_proxy": "http://127.0.0.1:8080",
    "NO_PROXY": "127.0.0.1,localhost",
    "no_proxy": "127.0.0.1,localhost",
}
"""How clients inside a wired bottle find the tunnel lane."""


def proxied(*, plain: bool = False) -> dict[str, str]:
    """The same, and for plain http too where a route of the wire speaks it."""
    where = PROXY_ENVIRONMENT["HTTPS_PROXY"]
    return {**PROXY_ENVIRONMENT, **({"HTTP_PROXY": where, "http_proxy": where} if plain else {})}


ASK_SECONDS = 30.0
_CA_FILES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO")
"""A host that needs an authority of its own needs it inside too: the tunnel is not decrypted on the way."""
_CAS = (*_CA_FILES, "PIP_CERT", "NPM_CONFIG_CAFILE")


class _Found:
    """What the clients said so far."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        # Clients read their own settings from it; keys of models and of the vault are none of them.
        self.asking = {
            name: value
            for name, value in environment.items()
            if name != "VAULT_TOKEN" and not name.endswith("_API_KEY")
        }
        self.hosts: dict[str, None] = {}
        self.configured: dict[str, None] = {}
        self.environment: dict[str, str] = {}
        self.files: dict[Path, None] = {}
        self.logins: dict[tuple[str, str], Login] = {}
        self.scopes: dict[str, str] = {}
        self.notes: list[str] = []

    def has(self, program: str) -> bool:
        return shutil.which(program, path=self.asking.get("PATH")) is not None

    def ask(self, *argv: str, bare: bool = False) -> str:
        """What a client prints; empty when it is missing or fails. ``bare`` keeps its settings from it."""
        program = shutil.which(argv[0], path=self.asking.get("PATH"))
        if program is None:
            return ""
        try:
            answer = subprocess.run(
                [program, *argv[1:]],
                env={} if bare else self.asking,
                cwd="/",  # not where a project's own configuration would speak
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=ASK_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            self.notes.append(f"{argv[0]} could not be asked about its registries")
            return ""
        return answer.stdout.decode("utf-8", "replace") if answer.returncode == 0 else ""

    def url(self, value: str, *, configured: bool = True) -> str:
        """Take in one source, an address or a directory; returns it as a bottle may know it."""
        prefix, bare = _scheme(value)
        parts = urlsplit(bare)
        if parts.scheme == "file" or bare.startswith("/"):
            self.file(Path(unquote(parts.path)))
            return value
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            return value
        if parts.scheme == "http":
            self.notes.append(f"{parts.hostname} is reached without TLS: the tunnel does not carry that")
        port = parts.port or 443
        host = parts.hostname if port == 443 else f"{parts.hostname}:{port}"
        self.hosts[host] = None
        if configured:
            self.configured[host] = None
        if parts.username or parts.password:
            password = Secret(unquote(parts.password or ""))
            self.login(Login(host, "/", Form.BASIC, password, unquote(parts.username or "")))
        netloc = parts.netloc.rpartition("@")[2]
        return prefix + urlunsplit((parts.scheme, netloc, parts.path, parts.query, parts.fragment))

    def login(self, login: Login) -> None:
        """Take in what the wire is to add; of two for one place, the later client's is not used."""
        held = self.logins.setdefault((login.place, login.path), login)
        if held != login:
            what = f"{login.place}{login.path} has two logins on this host, and the wire adds the first"
            self.notes.append(f"{what}: a route in settings.yml can hold the other")
        elif login.form is Form.BASIC:
            self.notes.append(
                f"{login.place} has a password on this host; the wire adds it, outside of bottles"
            )
        else:
            self.notes.append(f"{login.place} has a token on this host; the wire adds it, outside of bottles")

    def file(self, path: Path) -> None:
        """A source on disk. The pages of a simple index link to files beside it, so its parent is meant."""
        path = path.parent if path.name == "simple" else path
        if path.exists():
            self.files[path] = None
        else:
            self.notes.append(f"{path} is configured as a source and does not exist")


def discover(environment: Mapping[str, str] | None = None) -> Registries:
    """Ask every client on ``PATH``; takes up to a few seconds, blocks. A client that is absent says
    nothing.
    """
    found = _Found(os.environ if environment is None else environment)
    for client in (_pip, _uv, _npm, _cargo, _go):
        client(found)
    for name in _CA_FILES:
        if found.asking.get(name):
            found.environment[name] = found.asking[name]
            found.file(Path(found.asking[name]))
    return Registries(
        hosts=tuple(found.hosts),
        configured_hosts=tuple(found.configured),
        client_environment=found.environment,
        file_sources=tuple(found.files),
        logins=tuple(found.logins.values()),
        scopes=found.scopes,
        notes=tuple(dict.fromkeys(found.notes)),
        authorities=tuple(
            dict.fromkeys(Path(each) for name, each in found.environment.items() if name in _CAS)
        ),
    )


# --- pip ---

_PIP_LINE = re.compile(r"(?P<section>[^=]+?)\.(?P<key>[a-z-]+)=(?P<value>'.*'|\".*\")\Z")
_PIP_SECTIONS = ("global", "install", ":env:")  # later ones win
_PIP_LIBRARY = re.compile(r"from (?P<path>.+?) \(python")
_PIP_DEFAULT = """
import sys; sys.path.insert(0, sys.argv[1])
from pip._internal.models.index import PyPI
print(PyPI.simple_url); print(PyPI.file_storage_domain)
"""


def _pip(found: _Found) -> None:
    argv = next(
        (one for one in (("pip",), ("pip3",), ("python3", "-m", "pip")) if found.ask(*one, "--version")), None
    )
    if argv is None:
        return
    set_to = _pip_config(found.ask(*argv, "config", "list"))
    own = set_to.get("index-url")
    default, files = _pip_default(found, found.ask(*argv, "--version"))
    if own:
        found.environment["PIP_INDEX_URL"] = found.url(own)
    elif default and set_to.get("no-index", "").lower() not in {"1", "true", "yes", "on"}:
        found.url(default, configured=False)
    if files and (not own or urlsplit(own).hostname == urlsplit(default).hostname):
        found.hosts[files] = None
    for key, name in (("extra-index-url", "PIP_EXTRA_INDEX_URL"), ("find-links", "PIP_FIND_LINKS")):
        if set_to.get(key):
            found.environment[name] = " ".join(found.url(one) for one in set_to[key].split())
    for key in ("no-index", "trusted-host", "default-timeout"):
        if set_to.get(key):
            found.environment["PIP_" + key.upper().replace("-", "_")] = set_to[key]
    if set_to.get("cert"):
        found.environment["PIP_CERT"] = set_to["cert"]
        found.file(Path(set_to["cert"]))
    found.environment |= {"PIP_CONFIG_FILE": os.devnull, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


def _pip_config(listed: str) -> dict[str, str]:
    """``pip config list`` as key to value, the strongest section first."""
    sections: dict[str, dict[str, str]] = {name: {} for name in _PIP_SECTIONS}
    for line in listed.splitlines():
        matched = _PIP_LINE.match(line)
        if matched and matched["section"] in sections:
            sections[matched["section"]][matched["key"]] = str(ast.literal_eval(matched["value"]))
    return {key: value for name in _PIP_SECTIONS for key, value in sections[name].items()}


def _pip_default(found: _Found, version: str) -> tuple[str, str]:
    """The index and the file host that this pip's own library names."""
    matched = _PIP_LIBRARY.search(version)
    if matched is None:
        return "", ""
    library = str(Path(matched["path"]).parent)
    lines = found.ask(sys.executable, "-I", "-c", _PIP_DEFAULT, library, bare=True).split()
    return (lines[0], lines[1]) if len(lines) == 2 else ("", "")


# --- uv ---

_UV_DEFAULT = re.compile(r"default: <?(?P<url>https://[^\s>\]]+)")


def _uv(found: _Found) -> None:
    if not found.has("uv"):
        return
    config = _uv_config(found.asking)
    asking = found.asking
    default = asking.get("UV_DEFAULT_INDEX") or asking.get("UV_INDEX_URL") or config.get("default")
    if default:
        found.environment["UV_DEFAULT_INDEX"] = found.url(str(default))
    elif matched := _UV_DEFAULT.search(" ".join(found.ask("uv", "pip", "install", "--help").split())):
        found.url(matched["url"], configured=False)
    more = f"{asking.get('UV_INDEX', '')} {asking.get('UV_EXTRA_INDEX_URL', '')}".split() or config.get(
        "more", []
    )
    if more:
        found.environment["UV_INDEX"] = " ".join(found.url(one) for one in more)
    links = asking.get("UV_FIND_LINKS", "").replace(",", " ").split() or config.get("links", [])
    if links:
        found.environment["UV_FIND_LINKS"] = ",".join(found.url(one) for one in links)
    found.environment["UV_NO_CONFIG"] = "1"


def _uv_config(environment: Mapping[str, str]) -> dict[str, Any]:
    """uv's user configuration, else the system's: indexes and link directories."""
    home = environment.get("XDG_CONFIG_HOME") or str(
        Path(environment.get("HOME", "/nonexistent")) / ".config"
    )
    named = environment.get("UV_CONFIG_FILE")
    for path in (Path(named),) if named else (Path(home) / "uv" / "uv.toml", Path("/etc/uv/uv.toml")):
        try:
            row = tomllib.loads(path.read_text("utf-8"))
        except (OSError, ValueError):
            continue
        indexes = [one for one in row.get("index", []) if isinstance(one, dict)]
        default = next((one.get("url") for one in indexes if one.get("default")), row.get("index-url"))
        more = [str(one.get("url")) for one in indexes if not one.get("default")]
        return {
            "default": default,
            "more": [*more, *map(str, row.get("extra-index-url", []))],
            "links": [str(one) for one in row.get("find-links", [])],
        }
    return {}


# --- npm, cargo, go ---


def _npm(found: _Found) -> None:
    try:
        config = json.loads(found.ask("npm", "config", "list", "--json") or "{}")
    except ValueError:
        config = {}
    if not isinstance(config.get("registry"), str):
        return
    found.environment["NPM_CONFIG_REGISTRY"] = found.url(config["registry"])
    for key, value in config.items():
        if key.endswith(":registry") and isinstance(value, str):
            found.scopes[key] = found.url(value)
    _npm_logins(found, config)
    if isinstance(config.get("cafile"), str) and config["cafile"]:
        found.environment["NPM_CONFIG_CAFILE"] = config["cafile"]
        found.file(Path(config["cafile"]))


def _npm_logins(found: _Found, config: Mapping[str, Any]) -> None:
    """npm keeps them out of what it lists, and names the files. A login for another host than its registries opens none."""
    named = (config.get(key) for key in ("userconfig", "globalconfig"))
    files = [Path(each) for each in named if isinstance(each, str) and each]
    logins, notes = npmrc.logins(npmrc.read(files, found.asking))
    found.notes += notes
    for login in logins:
        if login.place in found.hosts:
            found.login(login)
        else:
            found.notes.append(f"npm has a login for {login.place}, which is none of this host's registries")


_CARGO_DEFAULT = re.compile(rb"sparse\+https://(?P<host>[a-z0-9-]+(?:\.[a-z0-9-]+)+)/")


def _cargo(found: _Found) -> None:
    if not found.has("cargo"):
        return
    home = Path(found.asking.get("CARGO_HOME") or Path(found.asking.get("HOME", "/nonexistent")) / ".cargo")
    config = _toml(home / "config.toml") or _toml(home / "config")
    for name, row in config.get("registries", {}).items():
        if isinstance(row, dict) and isinstance(row.get("index"), str):
            variable = "CARGO_REGISTRIES_" + re.sub(r"[^A-Z0-9]", "_", name.upper()) + "_INDEX"
            found.environment[variable] = found.url(row["index"])
    replaced = [row for row in config.get("source", {}).values() if isinstance(row, dict)]
    for row in replaced:
        if isinstance(row.get("registry"), str):
            found.url(row["registry"])
            found.notes.append(
                "cargo replaces its source here; the bottle's own configuration has to name it"
            )
    if not any(row.get("replace-with") for row in replaced):
        _cargo_default(found)


def _cargo_default(found: _Found) -> None:
    """The index address is a constant in cargo's binary; its files are served under the same domain."""
    binary = found.ask("rustup", "which", "cargo").strip() or shutil.which(
        "cargo", path=found.asking.get("PATH")
    )
    try:
        matched = _CARGO_DEFAULT.search(Path(binary or "/nonexistent").read_bytes())
    except OSError:
        matched = None
    if matched is None:
        found.notes.append("cargo's default registry could not be found out")
        return
    host = matched["host"].decode()
    found.hosts[host] = None
    domain = host.partition(".")[2]
    if "." in domain:
        found.hosts[f"*.{domain}"] = None


def _go(found: _Found) -> None:
    try:
        config = json.loads(found.ask("go", "env", "-json", "GOPROXY", "GOSUMDB") or "{}")
    except ValueError:
        config = {}
    proxies = [
        found.url(one) for one in re.split(r"[,|]", config.get("GOPROXY", "")) if one not in {"", "direct"}
    ]
    if proxies:
        found.environment["GOPROXY"] = ",".join(proxies)
    checksums = str(config.get("GOSUMDB", "")).split()
    if checksums and checksums[-1] != "off":
        name = checksums[-1] if "://" in checksums[-1] else f"https://{checksums[-1].partition('+')[0]}"
        found.url(name)
        found.environment["GOSUMDB"] = config["GOSUMDB"]


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}


def _scheme(value: str) -> tuple[str, str]:
    """An address without what a client writes before it (``name=``, ``sparse+``), and that."""
    matched: Sequence[str] = re.split(r"(?=https?://|file:)", value, maxsplit=1)
    return (matched[0], matched[1]) if len(matched) == 2 else ("", value)
