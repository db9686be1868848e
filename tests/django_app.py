"""A Django application that takes requests by https only, as behind a proxy that ends TLS; run by uvicorn."""

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import re_path


def view(request: HttpRequest) -> JsonResponse:
    """Say where the request went, as Django sees it."""
    return JsonResponse({"url": request.build_absolute_uri(), "secure": request.is_secure()})


settings.configure(
    ROOT_URLCONF=__name__,
    SECRET_KEY="of a test",
    ALLOWED_HOSTS=["*"],
    MIDDLEWARE=["django.middleware.security.SecurityMiddleware"],
    SECURE_SSL_REDIRECT=True,
    SECURE_PROXY_SSL_HEADER=("HTTP_X_FORWARDED_PROTO", "https"),
    USE_X_FORWARDED_HOST=True,
)
urlpatterns = [re_path("", view)]
app = get_asgi_application()
