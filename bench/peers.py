"""The peers, each in the configuration in which it is fastest: prosody and ejabberd.

    python -m bench.peers start|stop prosody|ejabberd --directory DIR [--fresh]

Both run the same few modules, without rate limits, logging warnings only. prosody collects
garbage generationally and sends at once (no Nagle); ejabberd keeps its data in mnesia and its
schedulers do not busy-wait, since idle spinning would be counted as work.
"""

import re
import shutil
import sys
from pathlib import Path

from bench.server import (
    COMPONENT,
    COMPONENT_SECRET,
    HOST,
    Server,
    ServerError,
    debian_version,
    main,
)

PROSODY_CONFIG = """\
run_as_root = true
pidfile = "{directory}/prosody.pid"
data_path = "{directory}/data"
certificates = "{directory}"
network_backend = "epoll"
network_settings = {{ tcp_backlog = 4096, nagle = false }}
gc = {{ mode = "generational" }}
interfaces = {{ "{host}" }}
c2s_ports = {{ {port} }}
component_ports = {{ {component_port} }}
component_interfaces = {{ "{host}" }}
s2s_ports = {{ }}
http_ports = {{ }}
https_ports = {{ }}
modules_enabled = {{
    "disco", "roster", "saslauth", "tls", "ping", "register", "offline", "carbons",
    "smacks"{mam}{pep}
}}
modules_disabled = {{ "s2s", "limits" }}
c2s_require_encryption = false
allow_unencrypted_plain_auth = true
allow_registration = true
storage = "internal"
log = {{ warn = "{directory}/prosody.log" }}
ssl = {{ certificate = "{certificate}", key = "{key}" }}
VirtualHost "p.test"
    authentication = "internal_plain"
VirtualHost "h.test"
    authentication = "internal_hashed"
Component "conference.p.test" "muc"
    restrict_room_creation = false
    max_history_messages = 100
{muc_mam}Component "{component}"
    component_secret = "{component_secret}"
"""

EJABBERD_CONFIG = """\
loglevel: warning
hosts: [p.test, h.test]
certfiles: ["{certificate_and_key}"]
host_config:
  p.test: {{ auth_password_format: plain }}
  h.test: {{ auth_password_format: scram }}
auth_method: internal
default_db: mnesia
registration_timeout: infinity
listen:
  - port: {port}
    ip: "{host}"
    module: ejabberd_c2s
    max_stanza_size: 262144
    backlog: 4096
    starttls: true
  - port: {component_port}
    ip: "{host}"
    module: ejabberd_service
    hosts: {{ "{component}": {{ password: "{component_secret}" }} }}
shaper_rules:
  max_user_sessions: 10
  max_user_offline_messages: 100
modules:
  mod_roster: {{}}
  mod_disco: {{}}
  mod_ping: {{}}
  mod_offline: {{}}
  mod_carboncopy: {{}}
  mod_register: {{ ip_access: all, access: all, password_strength: 0 }}
  mod_stream_mgmt: {{}}
  mod_muc: {{ max_users: 5000, default_room_options: {{ max_users: 5000, mam: {muc_mam} }} }}
{mam}{pep}"""

EJABBERD_PEP = """\
  mod_caps: {}
  mod_pubsub: { plugins: [flat, pep] }
"""


class Prosody(Server):
    """Prosody with its own files as storage."""

    name = "prosody"
    usual_port = 15_222

    def check_installed(self) -> None:
        """Look for prosody."""
        if shutil.which("prosody") is None:
            raise ServerError("prosody is not installed: apt-get install prosody")

    def version(self) -> str:
        """The version of the Debian package."""
        return f"prosody {debian_version('prosody')}"

    def configure(self) -> None:
        """Write prosody.cfg.lua."""
        (self.directory / "data").mkdir(exist_ok=True)
        self._config.write_text(
            PROSODY_CONFIG.format(
                directory=self.directory,
                host=HOST,
                port=self.port,
                certificate=self.certificate,
                key=self.key,
                component_port=self.component_port,
                component=COMPONENT,
                component_secret=COMPONENT_SECRET,
                mam=', "mam"' if self.archives else "",
                muc_mam='    modules_enabled = { "muc_mam" }\n' if self.archives else "",
                pep=', "pep"' if self.publishes else "",
            )
        )

    def command(self) -> list[str]:
        """Run prosody in the foreground."""
        return ["prosody", "-F", "--config", str(self._config)]

    @property
    def _config(self) -> Path:
        return self.directory / "prosody.cfg.lua"


class Ejabberd(Server):
    """ejabberd with mnesia as storage, as one Erlang node that talks to no other."""

    name = "ejabberd"
    usual_port = 25_222

    def check_installed(self) -> None:
        """Look for ejabberd and Erlang."""
        if shutil.which("ejabberdctl") is None or shutil.which("erl") is None:
            raise ServerError("ejabberd is not installed: apt-get install ejabberd")

    def version(self) -> str:
        """The version of the Debian package."""
        return f"ejabberd {debian_version('ejabberd')}"

    def configure(self) -> None:
        """Write ejabberd.yml."""
        certificate_and_key = self.directory / "certificate_and_key.pem"
        certificate_and_key.write_text(self.key.read_text() + self.certificate.read_text())
        self._config.write_text(
            EJABBERD_CONFIG.format(
                host=HOST,
                port=self.port,
                certificate_and_key=certificate_and_key,
                component_port=self.component_port,
                component=COMPONENT,
                component_secret=COMPONENT_SECRET,
                mam="  mod_mam: { default: always }\n" if self.archives else "",
                pep=EJABBERD_PEP if self.publishes else "",
                muc_mam=str(self.archives).lower(),
            )
        )

    def command(self) -> list[str]:
        """Run the Erlang emulator itself, without the start script around it."""
        no_busy_wait = "+sbwt none +sbwtdcpu none +sbwtdio none"
        emulator = f"erl -noinput +K true +P 262144 {no_busy_wait} -s ejabberd".split()
        return [*emulator, "-mnesia", "dir", f'"{self.directory}/mnesia"']

    def environment(self) -> dict[str, str]:
        """What ejabberd's start script would set."""
        return {
            "EJABBERD_CONFIG_PATH": str(self._config),
            "EJABBERD_LOG_PATH": str(self.directory / "ejabberd.log"),
            "ERL_LIBS": libraries_of_ejabberd(),
            "ERL_CRASH_DUMP": str(self.directory / "crash.dump"),
            "ERL_MAX_PORTS": "65536",
            "HOME": str(self.directory),
        }

    @property
    def _config(self) -> Path:
        return self.directory / "ejabberd.yml"


def libraries_of_ejabberd() -> str:
    """Where the installed ejabberd's code lies; only its start script knows."""
    script = shutil.which("ejabberdctl")
    assert script is not None
    found = re.search(r"ERL_LIBS='?([^'\n]+)", Path(script).read_text())
    if found is None:
        raise ServerError(f"{script} does not say where ejabberd's libraries are")
    return found[1]


PEERS: tuple[type[Server], ...] = (Prosody, Ejabberd)

if __name__ == "__main__":
    sys.exit(main(__doc__ or "", PEERS))
