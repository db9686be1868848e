"""The least that Django needs to know."""

SECRET_KEY = "a test's"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "propagation.services.django_urls"
MIDDLEWARE: list[str] = []
USE_TZ = True
