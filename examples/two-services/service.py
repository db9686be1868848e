"""A service that returns its name, and calls other ones: python service.py NAME PORT [SERVICE].

It uses neither Detour's nor OpenTelemetry's libraries: it copies the `baggage` header to its calls itself.
"""

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.error import HTTPError
from urllib.request import Request, urlopen

NAME, PORT, CALLED = sys.argv[1], int(sys.argv[2]), sys.argv[3:]


class Handler(BaseHTTPRequestHandler):
    """Returns the names of all services that a request went through."""

    def do_GET(self) -> None:
        """Call the other services with the same baggage. If one fails, its error is the response."""
        status, names = 200, [NAME]
        for service in CALLED:
            headers = {"baggage": baggage} if (baggage := self.headers["baggage"]) else {}
            try:
                with urlopen(Request(f"http://{service}/", headers=headers), timeout=10) as answer:
                    names.append(answer.read().decode().strip())
            except HTTPError as error:  # such as Detour's 503 for a deployment that does not exist
                status, names = error.code, [*names, error.read().decode().strip()]
            except OSError as error:
                status, names = 502, [*names, f"{service} cannot be reached: {error}"]
        body = (" > ".join(names) + "\n").encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


ThreadingHTTPServer(("127.0.0.1", PORT), Handler).serve_forever()
