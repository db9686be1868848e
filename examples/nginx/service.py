"""A service that returns its name, and calls other ones: python service.py NAME PORT [SERVICE].

It uses neither Detour's nor OpenTelemetry's libraries: it copies the `baggage` header to its calls itself.
"""

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.request import Request, urlopen

NAME, PORT, CALLED = sys.argv[1], int(sys.argv[2]), sys.argv[3:]


class Handler(BaseHTTPRequestHandler):
    """Returns the names of all services that a request went through."""

    def do_GET(self) -> None:
        """Call the other services with the same baggage."""
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
