"""Databases for one request, with Django: real files of SQLite, in fresh processes, for settings are for good."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

_PROJECT = """
import json, logging, os, sys
from pathlib import Path
import django
from django.conf import settings

FOLDER = Path(sys.argv[1])
NAMES = ("default", "pr-42", "pr-7", "secret")
logging.basicConfig(format="%(message)s")
settings.configure(
    DATABASES={
        name: {"ENGINE": "django.db.backends.sqlite3", "NAME": FOLDER / name, "OPTIONS": {"timeout": 20}}
        for name in NAMES
    },
    DATABASE_ROUTERS=["detour.sdk.databases.django.Router"],
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    **{"DETOUR_DATABASES": ["pr-42", "pr-7"], **json.loads(sys.argv[2])},
)
django.setup()

from django.db import connections, models, router, transaction
from detour.sdk import service, using

service.set_name("rides")


class Driver(models.Model):
    name = models.TextField()

    class Meta:
        app_label = "rides"


class Ride(models.Model):
    place = models.TextField()
    driver = models.ForeignKey(Driver, on_delete=models.CASCADE, null=True)

    class Meta:
        app_label = "rides"


for name in NAMES:
    with connections[name].schema_editor() as editor:
        editor.create_model(Driver)
        editor.create_model(Ride)
    Driver.objects.using(name).create(id=1, name=name)
    Ride.objects.using(name).create(id=1, place=name, driver_id=1)


def places():
    return {name: list(Ride.objects.using(name).order_by("id").values_list("place", flat=True)) for name in NAMES}


def say(value):
    print(json.dumps(value))

"""

Run = Callable[..., Any]
UNTOUCHED = {name: [name] for name in ("default", "pr-42", "pr-7", "secret")}


class Django:
    """Runs programs in a fresh project of four databases, of which a request may choose three."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.errors = ""

    def __call__(self, program: str, **settings: object) -> Any:
        """Return what a program says."""
        ran = subprocess.run(
            [sys.executable, "-c", _PROJECT + program, str(self.folder), json.dumps(settings)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        self.errors = ran.stderr
        assert ran.returncode == 0, ran.stderr
        return json.loads(ran.stdout)


@pytest.fixture
def django(tmp_path: Path) -> Django:
    """A Django project."""
    return Django(tmp_path)


def test_a_request_reads_and_writes_its_own(django: Django) -> None:
    """And nothing reaches another one."""
    program = """
with using("db.rides=pr-42"):
    ride = Ride.objects.get(id=1)
    ride.place += " changed"
    ride.save()
    Ride.objects.create(place="written")
    Ride(place="saved").save()
    Ride.objects.filter(place="saved").update(place="updated")
say([Ride.objects.get(id=1).place, places()])
"""
    written = ["pr-42 changed", "written", "updated"]
    assert django(program) == ["default", {**UNTOUCHED, "pr-42": written}]


def test_a_name_that_is_not_listed_is_never_connected_to(django: Django) -> None:
    """The default serves, and it is told, once."""
    program = """
connections["secret"].close()
connections["secret"].ensure_connection = None
for name in ("secret", "secret", "other"):
    with using(f"db.rides={name}"):
        Ride.objects.create(place="written")
say(list(Ride.objects.values_list("place", flat=True)))
"""
    assert django(program) == ["default", "written", "written", "written"]
    assert django.errors.splitlines() == [
        f"a request chooses the database '{name}', which this service does not list: it uses the default; "
        "listed are default, pr-42, pr-7"
        for name in ("secret", "other")
    ]


def test_without_the_setting_only_the_default_can_be_chosen(django: Django) -> None:
    """What is configured for other ends is not for requests."""
    program = """
with using("db.rides=pr-42"):
    say(Ride.objects.get(id=1).place)
"""
    assert django(program, DETOUR_DATABASES=[]) == "default"
    assert "listed are default" in django.errors


def test_an_alias_that_django_does_not_know_is_a_mistake_of_the_settings(django: Django) -> None:
    """It is told whether or not a request chooses."""
    program = """
from django.core.exceptions import ImproperlyConfigured
try:
    Ride.objects.get(id=1)
except ImproperlyConfigured as error:
    say(str(error))
"""
    told = "DETOUR_DATABASES names 'pr-9', which is not in DATABASES"
    assert django(program, DETOUR_DATABASES=["pr-9"]) == told


def test_relations_stay_in_their_objects_database(django: Django) -> None:
    """Whichever request follows them."""
    program = """
with using("db.rides=pr-42"):
    ride = Ride.objects.select_related().get(id=1)
    lazy = Ride.objects.get(id=1)
    within = [ride.driver.name, Ride.objects.get(id=1).driver.name]
    new = Ride(place="new", driver=ride.driver)
    new.save()
    ride.driver.ride_set.create(place="of the driver")
with using("db.rides=pr-7"):
    lazy.place += " changed"
    lazy.save()
    behind = lazy.driver.name
explicit = Ride.objects.using("secret").get(id=1)
with using("db.rides=pr-7"):
    explicit.delete()
say([within, behind, places()])
"""
    assert django(program) == [
        ["pr-42", "pr-42"],
        "pr-42",
        {**UNTOUCHED, "pr-42": ["pr-42 changed", "new", "of the driver"], "secret": []},
    ]


def test_objects_of_two_databases_are_not_related(django: Django) -> None:
    """As Django has it."""
    program = """
driver = Driver.objects.get(id=1)
with using("db.rides=pr-42"):
    ride = Ride.objects.get(id=1)
try:
    ride.driver = driver
except ValueError as error:
    say("prevents this relation" in str(error))
"""
    assert django(program) is True


def test_migrations_are_by_alias(django: Django) -> None:
    """Each of the databases can be migrated."""
    program = """
say([router.allow_migrate(name, "rides") for name in NAMES])
"""
    assert django(program) == [True] * 4


def test_transactions_that_name_the_alias_are_the_requests(django: Django) -> None:
    """What is taken back is taken back there."""
    program = """
from detour.sdk.databases.django import alias
with using("db.rides=pr-42"):
    try:
        with transaction.atomic(using=alias()):
            Ride.objects.create(place="taken back")
            raise KeyError
    except KeyError:
        pass
    with connections[alias()].cursor() as cursor:
        found = cursor.execute("select place from rides_ride").fetchall()
say([found, places(), alias()])
"""
    assert django(program) == [[["pr-42"]], UNTOUCHED, "default"]


def test_routers_in_front_keep_what_is_theirs(django: Django) -> None:
    """A service's own rules come first, if it says so."""
    program = """
class Secret:
    def db_for_read(self, model, **hints):
        return "secret" if model is Driver else None

router.routers.insert(0, Secret())
with using("db.rides=pr-42"):
    say([Driver.objects.get(id=1).name, Ride.objects.get(id=1).place])
"""
    assert django(program) == ["secret", "pr-42"]


def test_concurrent_requests_do_not_mix(django: Django) -> None:
    """On threads, and as tasks of one loop."""
    program = """
import asyncio
from concurrent.futures import ThreadPoolExecutor
CHOICES = ("default", "pr-42", "pr-7")

def serve(number):
    with using(f"db.rides={CHOICES[number % 3]}"):
        return Ride.objects.get(id=1).place

async def served(number):
    with using(f"db.rides={CHOICES[number % 3]}"):
        await asyncio.sleep(0)
        return (await Ride.objects.aget(id=1)).place

async def all_served():
    return await asyncio.gather(*map(served, range(60)))

with ThreadPoolExecutor(4) as pool:
    threads = list(pool.map(serve, range(60)))
say([threads == [*CHOICES] * 20, asyncio.run(all_served()) == [*CHOICES] * 20])
"""
    assert django(program) == [True, True]
