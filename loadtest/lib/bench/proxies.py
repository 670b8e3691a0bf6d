"""The proxies that are measured, each told of the same work by a configuration that it likes."""

import os
import subprocess
from pathlib import Path

from lib.drills import proxies as drilled
from lib.drills.world import CannotBegin, accepts, wait_for

LOADTEST = Path(__file__).resolve().parent.parent.parent


class Place:
    """Where one proxy works: a folder, ports, and a certificate for those that speak TLS."""

    def __init__(self, folder, port, origins, certificate):
        self.folder, self.port, self.origins, self.certificate = folder, port, origins, certificate
        folder.mkdir(parents=True)

    @property
    def plain(self):
        return f"127.0.0.1:{self.port}"

    @property
    def secure(self):
        return f"127.0.0.1:{self.port + 1}"

    @property
    def admin(self):
        return f"127.0.0.1:{self.port + 2}"


class Measured:
    """A proxy program with a configuration of its own for each case."""

    name = ""
    template = ""

    def __init__(self, program):
        self.program = program

    def config(self, case, place):
        """The text of its configuration."""
        text = (LOADTEST / "bench" / self.template).read_text(encoding="utf-8")
        certificate = place.certificate
        words = {
            "PLAIN": place.plain, "SECURE": place.secure, "ADMIN": place.admin, "FOLDER": place.folder,
            "PLAIN_PORT": place.port, "SECURE_PORT": place.port + 1, "THREADS": case.threads,
            "CERT": certificate / "cert.pem", "KEY": certificate / "key.pem", "BOTH": certificate / "both.pem",
            "BACKENDS": "\n".join(self.backend(case, index, address) for index, address in enumerate(place.origins)),
            "ROUTES": "\n".join(self.route(index) for index in range(case.routes - 1)),
            "LOG": self.no_log if case.logged is None else self.log(case, place), **self.words(case),
        }
        for word, value in words.items():
            text = text.replace(f"@{word}@", str(value))
        return text

    no_log = ""

    def log(self, case, place):
        return ""

    def words(self, case):
        """What else differs from case to case."""
        return {}

    def backend(self, case, index, address):
        raise NotImplementedError

    def route(self, index):
        raise NotImplementedError

    def command(self, config, case):
        raise NotImplementedError

    def start(self, case, place, processes, cores):
        config = place.folder / self.template
        config.write_text(self.config(case, place), encoding="utf-8")
        with open(place.folder / "log", "ab") as log:
            command = ["taskset", "-c", cores, self.program, *self.command(config, case)]
            process = processes.start(command, log, env={**os.environ, **self.environment(place)})
        for address in [place.plain, *([place.secure] if case.tls else [])]:
            try:
                wait_for(lambda: accepts(address), f"{self.name} on {address}", process)
            except CannotBegin as problem:
                words = (place.folder / "log").read_text(encoding="utf-8", errors="replace").strip()
                raise CannotBegin(f"{problem}\n{words[-2000:]}") from problem
        return process

    def environment(self, place):
        return {"XDG_DATA_HOME": str(place.folder), "XDG_CONFIG_HOME": str(place.folder)}


class Bascule(Measured):
    name = "bascule"
    template = "bascule.yaml"

    def log(self, case, place):
        return f"  access: {{ file: {place.folder}/access.log, sample: {case.logged:.0%} }}"

    def words(self, case):
        return {"PROTOCOL": "http2" if case.grpc else "http1"}

    def backend(self, case, index, address):
        return f'      - {{ name: b{index}, url: "http://{address}" }}'

    def route(self, index):
        return f"  - {{ name: r{index}, match: {{ path_prefix: /r{index}/ }}, pool: api }}"

    def command(self, config, case):
        return ["run", "--config", config]


class Bare(Measured):
    """A Pingora proxy that does nothing but forward: what the framework costs."""

    name = "bare"
    template = "bare.txt"

    def words(self, case):
        return {"VERSION": 2 if case.grpc else 1}

    def backend(self, case, index, address):
        return address

    def route(self, index):
        return ""

    def command(self, config, case):
        return [config]


class HaProxy(Measured):
    name = "haproxy"
    template = "haproxy.cfg"

    def log(self, case, place):
        sample = "" if case.logged == 1 else f" sample 1:{1 / case.logged:.0f}"
        return f"    log stdout format raw{sample} daemon\n    option httplog"

    def backend(self, case, index, address):
        return f"    server b{index} {address} check{' proto h2 check-proto h2' if case.grpc else ''}"

    def route(self, index):
        return f"    use_backend api if {{ path_beg /r{index}/ }}"

    def command(self, config, case):
        return ["-db", "-f", config]


class Nginx(Measured):
    name = "nginx"
    template = "nginx.conf"

    no_log = "    access_log off;"

    def log(self, case, place):
        log = f"    access_log {place.folder}/access.log combined"
        if case.logged == 1:
            return f"{log};"
        return f'    split_clients $request_id $is_logged {{ {case.logged:.0%} 1; * ""; }}\n{log} if=$is_logged;'

    def words(self, case):
        # To nginx both headers are of one connection, and it drops them unless told otherwise.
        upgrade = 'proxy_set_header Connection "upgrade"; proxy_set_header Upgrade $http_upgrade;'
        return {
            "CONNECTION": upgrade if case.tool == "websocket" else 'proxy_set_header Connection "";',
            "PASS": "grpc_pass grpc://api;" if case.grpc else "proxy_pass http://api;",
        }

    def backend(self, case, index, address):
        return f"        server {address};"

    def route(self, index):
        return f"        location /r{index}/ {{ proxy_pass http://api; }}"

    def command(self, config, case):
        return ["-p", config.parent, "-c", config]


class Envoy(Measured):
    name = "envoy"
    template = "envoy.yaml"

    def log(self, case, place):
        return (
            "access_log: [{ name: envoy.access_loggers.file, typed_config: { "
            '"@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog, '
            f"path: {place.folder}/access.log }} }}]"
        )

    def backend(self, case, index, address):
        host, port = address.rsplit(":", 1)
        where = f"{{ socket_address: {{ address: {host}, port_value: {port} }} }}"
        return f"              - endpoint: {{ address: {where} }}"

    def route(self, index):
        return f"                        - {{ match: {{ prefix: /r{index}/ }}, route: {{ cluster: api }} }}"

    def command(self, config, case):
        return ["-c", config, "--concurrency", str(case.threads), "--log-level", "error", "--use-dynamic-base-id"]


class Caddy(Measured):
    name = "caddy"
    template = "Caddyfile"

    def backend(self, case, index, address):
        return address

    def config(self, case, place):
        return super().config(case, place).replace("\n127.", " 127.")

    def route(self, index):
        return ""

    def environment(self, place):
        return {**super().environment(place), "GOMAXPROCS": "1"}

    def command(self, config, case):
        return ["run", "--adapter", "caddyfile", "--config", config]


KINDS = (Bascule, Bare, HaProxy, Nginx, Envoy, Caddy)


def find(kind, programs):
    """The proxy, or None when it is not installed. `programs` are those that were built here."""
    program = programs.get(kind.name)
    if kind.name not in programs:
        found = drilled.find(kind)
        program = found.program if found else None
    return kind(program) if program and Path(program).exists() else None


def version(proxy):
    """What it says of itself, in a line; for people."""
    flag = {"haproxy": "-v", "nginx": "-v", "envoy": "--version", "caddy": "version"}.get(proxy.name)
    if flag is None:
        return ""
    said = subprocess.run([proxy.program, flag], capture_output=True, text=True, check=False)
    lines = [line for line in (said.stdout + said.stderr).splitlines() if line.strip()]
    return lines[0].strip() if lines else ""
