"""The proxies that can be drilled: where each is found, and how it is told of its backends."""

import getpass
import os
import re
import shutil
from pathlib import Path

from lib.drills.world import accepts, answers, ask, wait_for

LOADTEST = Path(__file__).resolve().parent.parent.parent


class Proxy:
    """A proxy program. `tiers` is a list of lists of (name, host:port), the preferred tier first."""

    name = ""
    template = ""
    remedy = ""

    def __init__(self, program):
        self.program = program

    def start(self, lane, tiers):
        """Starts it and returns the process, without waiting until it serves."""
        text = (LOADTEST / self.template).read_text(encoding="utf-8")
        config = lane.folder / Path(self.template).name
        config.write_text(self.filled(text, lane, tiers), encoding="utf-8")
        environment = {**os.environ, "XDG_DATA_HOME": str(lane.folder), "XDG_CONFIG_HOME": str(lane.folder)}
        return lane.processes.start(self.command(config, lane), lane.log, env=environment)

    def filled(self, text, lane, tiers):
        host, port = lane.proxy.split(":")
        words = {"LISTEN": lane.proxy, "HOST": host, "PORT": port, "FOLDER": str(lane.folder), "USER": getpass.getuser()}
        for word, value in {**words, "BACKENDS": self.backends(tiers)}.items():
            text = text.replace(f"@{word}@", value)
        return text

    def backends(self, tiers):
        raise NotImplementedError

    def command(self, config, lane):
        raise NotImplementedError

    def wait_until_ready(self, lane, process):
        host, port = lane.proxy.split(":")
        wait_for(lambda: answers(host, int(port), "/health"), f"{self.name} on port {port}", process)

    def metrics(self, lane):
        """Its metrics as a Prometheus text; empty when it has none that a drill reads."""
        return ""


class Bascule(Proxy):
    name = "bascule"
    template = "drill.yaml"
    remedy = "cargo build --release -p bascule -p bascule-backend"

    def filled(self, text, lane, tiers):
        text = text.replace("127.0.0.1:18000", lane.proxy).replace("127.0.0.1:18001", lane.admin)
        # The lines of the example's backends make room for those of the row.
        example = r"(?m)^( +)- \{ name: .*url: .*\n(\1- \{ name: .*url: .*\n)*"
        return re.sub(example, lambda _: self.backends(tiers), text, count=1)

    def backends(self, tiers):
        return "".join(
            f'      - {{ name: {name}, url: "http://{address}", tier: {tier} }}\n'
            for tier, backends in enumerate(tiers)
            for name, address in backends
        )

    def command(self, config, lane):
        return [self.program, "run", "--config", config]

    def wait_until_ready(self, lane, process):
        host, port = lane.admin.split(":")
        wait_for(lambda: answers(host, int(port), "/readyz"), f"{self.name}'s sidecar on port {port}", process)
        wait_for(lambda: accepts(lane.proxy), f"{self.name} on {lane.proxy}", process)

    def metrics(self, lane):
        host, port = lane.admin.split(":")
        return ask(host, int(port), "GET", "/metrics")


class HaProxy(Proxy):
    name = "haproxy"
    template = "peers/haproxy.cfg"
    remedy = ".ci/setup peers"

    def backends(self, tiers):
        return "\n".join(
            f"    server {name} {address} check{' backup' if tier else ''}"
            for tier, backends in enumerate(tiers)
            for name, address in backends
        )

    def command(self, config, lane):
        return [self.program, "-db", "-f", config]


class Nginx(Proxy):
    name = "nginx"
    template = "peers/nginx.conf"
    remedy = ".ci/setup peers"

    def backends(self, tiers):
        return "\n".join(
            f"        server {address} max_fails=2 fail_timeout=1s{' backup' if tier else ''};"
            for tier, backends in enumerate(tiers)
            for _, address in backends
        )

    def command(self, config, lane):
        return [self.program, "-p", lane.folder, "-c", config]


class Envoy(Proxy):
    name = "envoy"
    template = "peers/envoy.yaml"
    remedy = ".ci/setup peers"

    def backends(self, tiers):
        lines = []
        for tier, backends in enumerate(tiers):
            lines += [f"          - priority: {tier}", "            lb_endpoints:"]
            for _, address in backends:
                host, port = address.rsplit(":", 1)
                where = f"{{ socket_address: {{ address: {host}, port_value: {port} }} }}"
                lines.append(f"              - endpoint: {{ address: {where} }}")
        return "\n".join(lines)

    def command(self, config, lane):
        # The base id keeps several of them on one machine apart.
        base_id = str(lane.first_port)
        return [self.program, "-c", config, "--concurrency", "2", "--base-id", base_id, "--log-level", "error"]


class Caddy(Proxy):
    name = "caddy"
    template = "peers/Caddyfile"
    remedy = "apt-get install caddy"

    def backends(self, tiers):
        return " ".join(address for backends in tiers for _, address in backends)

    def command(self, config, lane):
        return [self.program, "run", "--adapter", "caddyfile", "--config", config]


PEERS = (HaProxy, Nginx, Envoy, Caddy)


def find(kind):
    """The proxy, or None when it is not installed."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", str(LOADTEST.parent / ".cache/bin")])
    program = shutil.which(kind.name, path=path)
    return kind(program) if program else None
