"""A service that says its name, and calls the next one: python service.py NAME PORT [SERVICE].

It has no library of Detour's or OpenTelemetry's: it passes the `baggage` header on by itself.
"""

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.request import Request, urlopen

NAME, PORT, CALLED = sys.argv[1], int(sys.argv[2]), sys.argv[3:]


class Handler(BaseHTTPRequestHandler):
    """Answers each request with the names of all services that it went through."""

    def do_GET(self) -> None:
        """Call the next service under the same baggage."""
        names = [NAME]
        for service in CALLED:
            headers = {"baggage": baggage} if (baggage := self.headers["baggage"]) else {}
            with urlopen(Request(f"http://{service}/", headers=headers), timeout=10) as answer:
                names.append(answer.read().decode().strip())
        body = (" > ".join(names) + "\n").encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


ThreadingHTTPServer(("127.0.0.1", PORT), Handler).serve_forever()
