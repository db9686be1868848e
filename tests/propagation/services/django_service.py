"""Django, by WSGI with a thread for each request, and by ASGI with asynchronous views."""

import os
import sys

from propagation.services.setup import set_up

os.environ["DJANGO_SETTINGS_MODULE"] = "propagation.services.django_settings"
set_up()

from django.core.asgi import get_asgi_application  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402

from propagation.services import asgi, threaded  # noqa: E402

if sys.argv[1:] == ["asgi"]:
    asgi.serve(get_asgi_application())
else:
    threaded.serve(get_wsgi_application())
