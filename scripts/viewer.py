"""Show what a PACS has in OHIF, a viewer for the browser: ``viewer.py --dicomweb URL``.

The login of the PACS comes from the environment, see docs/PACS.md; the browser does not get it. Whoever has the address
that is printed reads with that login, and stores structured reports: it has a token, new at every start unless
``VERTEBRA_VIEWER_TOKEN`` in the environment says one. The server listens on this machine only unless ``--host`` says
otherwise. OHIF is taken from its npm package, which is downloaded once; nothing else is asked of other servers.
"""

from __future__ import annotations

import argparse
import ipaddress
import logging
import os
import re
import secrets
import socket
import sys
from pathlib import Path

import uvicorn

import _app_path  # noqa: F401
from lib.server.config import parse_conf
from lib.server.filenames import check_studies
from lib.server.log_privacy import install_log_redaction
from lib.server.pacs.client import PacsClient, PacsError
from lib.server.pacs.settings import PacsSettings, pacs_settings
from lib.server.pacs.viewer.ohif_build import PACKAGE, VERSION, find_build
from lib.server.pacs.viewer.viewer_app import TOKEN, viewer_app

STOP_TIMEOUT_S = 3
TOKEN_VARIABLE, TOKEN_BYTES = "VERTEBRA_VIEWER_TOKEN", 24
MIN_TOKEN = 16
"""Characters of a token in the environment."""


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dicomweb", required=True, metavar="URL", help="address of the DICOMweb service of the PACS")
    parser.add_argument(
        "--folder",
        type=Path,
        help=f"a static build of OHIF, or the file of its npm package (default: {PACKAGE} {VERSION} by npm pack)",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=3000, help="to listen on; 0 for a free one (default: %(default)s)")
    parser.add_argument(
        "--conf", nargs=2, action="append", default=[], metavar=("KEY", "VALUE"), help="setting of the PACS; repeatable"
    )
    return parser.parse_args(arguments)


def main() -> int:
    """Serve until interrupted; returns the exit status, which is 1 where there is nothing to serve."""
    arguments = parse_arguments()
    install_log_redaction()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    try:
        check_studies(arguments.dicomweb)
        settings = pacs_settings(arguments.dicomweb, parse_conf(dict(arguments.conf)))
        token = token_of_environment()
        listener = listen(arguments.host, arguments.port)
        with listener:
            build = find_build(arguments.folder)
            return serve(build, settings, listener, token)
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def listen(host: str, port: int) -> socket.socket:
    """The socket to serve on.

    Raises:
        OSError: the address cannot be used; the message says which.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise OSError(f"the viewer cannot listen on {host} port {port}: {reason}") from error


def token_of_environment() -> str:
    """The token of ``TOKEN_VARIABLE``, a new one without it.

    Raises:
        ValueError: it is too short, or has characters that do not belong into an address.
    """
    token = os.environ.get(TOKEN_VARIABLE) or secrets.token_urlsafe(TOKEN_BYTES)
    if len(token) < MIN_TOKEN or not re.fullmatch(r"[A-Za-z0-9_-]+", token):
        raise ValueError(f"{TOKEN_VARIABLE} must have {MIN_TOKEN} or more letters, digits, _ and -")
    return token


def serve(build: Path, settings: PacsSettings, listener: socket.socket, token: str) -> int:
    """Serve a build and a PACS to browsers with a token until interrupted; returns 0."""
    client = PacsClient(settings)
    try:
        try:
            client.ping()
        except PacsError as error:
            print(f"{error}. The viewer starts nevertheless.", file=sys.stderr)
        host, port = listener.getsockname()[:2]
        address = ipaddress.ip_address(host)
        if not address.is_loopback:
            print(
                "Images and the token pass the network unencrypted: put a server with TLS in front of this one.",
                file=sys.stderr,
            )
        shown = f"[{host}]" if address.version == 6 else host
        print(f"OHIF is at http://{shown}:{port}/?{TOKEN}={token}", flush=True)
        config = uvicorn.Config(
            viewer_app(build, client, settings.url, token),
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=STOP_TIMEOUT_S,
        )
        uvicorn.Server(config).run(sockets=[listener])
    finally:
        client.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
