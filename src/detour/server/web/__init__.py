"""The web page: static files that every server includes, and that use only its API.

Invariant: browsers receive the files of `static/` unchanged, without a build step, and load nothing from elsewhere.
"""

from detour.server.web.page import PAGE, PAGE_FILE, add_page

__all__ = ["PAGE", "PAGE_FILE", "add_page"]
