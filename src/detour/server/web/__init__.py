"""The web page: files that every server carries, and that need nothing but its API.

Invariant: what is in `static/` is what browsers get. There is no build, and nothing comes from anywhere else.
"""

from detour.server.web.page import PAGE, PAGE_FILE, add_page

__all__ = ["PAGE", "PAGE_FILE", "add_page"]
