"""Site: a web server of pages that are clients; it is not the one that is tested."""

from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

ROOT = Path(__file__).parents[2]
PAGES = Path(__file__).parent / "pages"
MODULES = ROOT / ".node" / "node_modules"


class _Handler(SimpleHTTPRequestHandler):
    def __init__(self, *arguments: object, ran: list[str], **more: object) -> None:
        self._ran = ran
        super().__init__(*arguments, **more)  # type: ignore[arg-type]  # as it was called

    def translate_path(self, path: str) -> str:
        path = path.partition("?")[0]
        if path.startswith("/modules/"):
            return str(MODULES / path.removeprefix("/modules/"))
        return str(PAGES / path.removeprefix("/"))

    def do_GET(self) -> None:
        """What scripts ask for when they run is noted."""
        if self.path.startswith("/ran"):
            self._ran.append(self.path)
            self.send_error(404)
            return
        super().do_GET()

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


class Site:
    """Serves the pages, and what npm has installed for them.

    Attributes:
        url: Where it is.
        ran: The paths below ``/ran`` that were asked for.
    """

    def __init__(self) -> None:
        self.ran: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, ran=self.ran))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        ).start()

    def close(self) -> None:
        """Serve nobody any more."""
        self._server.shutdown()
        self._server.server_close()
