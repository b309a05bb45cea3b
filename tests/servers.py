"""Servers on loopback that count what they send: of the web, and of S3."""

from __future__ import annotations

import hashlib
import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


class Web:
    """Files by name, and how they are served.

    `cuts` is how many bodies still end in the middle, `key` what an address must carry, `told`
    whether a file's length is said; `sent` counts the bytes of bodies by name, and `asked` lists
    (method, name).
    """

    def __init__(self, *, ranges=True, told=True, key=None):
        self.files, self.ranges, self.told, self.key = {}, ranges, told, key
        self.cuts, self.sent, self.asked = 0, {}, []
        self.url = ""


class Handler(BaseHTTPRequestHandler):
    """One request."""

    def do_HEAD(self):
        """What a file is like."""
        self.answer(body=False)

    def do_GET(self):
        """A file, or a range of it."""
        self.answer(body=True)

    def answer(self, *, body):
        """Send it, and count what was sent."""
        web, url = self.server.web, urlsplit(self.path)
        name = url.path.lstrip("/")
        web.asked.append((self.command, name))
        if web.key is not None and parse_qs(url.query).get("key") != [web.key]:
            self.said(403)
            return
        if name.endswith("/") or not name:
            links = (f'<a href="/{x}">{x}</a>' for x in web.files if x.startswith(name))
            data, tag = "\n".join(links).encode(), "index"
        elif name in web.files:
            data = web.files[name]
            tag = hashlib.sha256(data).hexdigest()
        else:
            self.said(404)
            return
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if web.ranges and asked:
            first, last = int(asked[1]), min(int(asked[2]), len(data) - 1)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
            data = data[first : last + 1]
        else:
            self.send_response(200)
        self.send_header("ETag", f'"{tag}"')
        if web.told:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if not body:
            return
        if web.cuts > 0 and len(data) > 1:
            web.cuts -= 1
            data = data[: len(data) // 2]
            self.close_connection = True
        for start in range(0, len(data), 1 << 14):
            self.wfile.write(data[start : start + (1 << 14)])
            web.sent[name] = web.sent.get(name, 0) + len(data[start : start + (1 << 14)])

    def said(self, code):
        """An answer without a body."""
        self.send_response(code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        """Nothing is written."""


class Server(ThreadingHTTPServer):
    """A server that is told what to serve."""

    daemon_threads = True

    def handle_error(self, *_):
        """Whoever goes away in the middle is no fault of this server."""


@contextmanager
def serving(**how):
    """A web server on loopback."""
    web = Web(**how)
    server = Server(("127.0.0.1", 0), Handler)
    server.web = web
    web.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield web
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
