"""Headers that nobody should send: mostly valid, so that real overrides occur, and wrong in many ways."""

from base64 import b64encode
from random import Random

from detour.overrides import Kind, Override, Overrides, write_opentracing
from detour.overrides.wire import LENGTH, map_entry, write_fields

KEYS = [
    *["override.route.users"] * 6,
    *["override.missing", "override.delay.users", "override.abort.users"],
    *[
        "override.route.payments",
        "override.route.users2",
        "override.route.",
        "override..users",
        "override.route.users.x",
    ],
    *["Override.route.users", "x-override.route.users", "%6Fverride.route.users", "+override.route.users"],
    *["override.config.flag", "override.log.users", "override.db.users", "override.", "override", "a", "", " "],
]
VALUES = [
    *["pr-42"] * 4,
    *[
        "a",
        "A.b_c-1",
        "0",
        "x" * 63,
        "x" * 64,
        "-a",
        ".a",
        "pr 42",
        "pr%2D42",
        "pr-42\t",
        "é",
        "\xff\xfe",
        "",
        "pr-42=1",
    ],
    *[
        "baseline",
        "Baseline",
        "300ms",
        "2s",
        "60s",
        "61s",
        "99999999999ms",
        "1h",
        "0ms",
        "1.5s",
        "0.0005s",
        "1.5555s",
        "1.s",
        "60.000s",
        "60.001s",
        "503",
        "16",
        "17",
        "0503",
    ],
]
EQUALS = [*["="] * 8, " = ", "\t=\t", "==", "", "=;", ";="]
PROPERTIES = [*[""] * 6, ";p", ";p=1", ";override.route.users=x", ";;", " ; "]
COMMAS = [*[","] * 6, ", ", " ,\t", ",,", ";"]
CARRIER_KEYS = [
    *["route.users"] * 5,
    "missing",
    "delay.users",
    "abort.users",
    "route.payments",
    "",
    "override.route.users",
]
CARRIER_VALUES = [*["pr-42"] * 4, *["a", "pr 42", "", "x" * 64, "baseline", "300ms", "503", "é", "\x00"]]


def baggage(rng: Random) -> list[str]:
    """Return the lines of a baggage header, one character a byte."""
    count = rng.choice([0, 1, 1, 2, 2, 3, 5, 8, 70]) if rng.random() < 0.98 else 700
    lines = [_members(rng, count // parts or 1) for parts in [rng.choice([1, 1, 1, 2, 3])] for _ in range(parts)]
    return [_mangled(rng, line) if rng.random() < 0.15 else line for line in lines]


def opentracing(rng: Random) -> str:
    """Return an `x-ot-span-context` header."""
    entries = [
        map_entry(1, rng.choice(CARRIER_KEYS), rng.choice(CARRIER_VALUES))
        for _ in range(rng.choice([0, 1, 2, 5, 70]))
    ]
    if rng.random() < 0.1:
        entries.append((rng.choice([0, 1, 2, 9]), rng.choice([0, 1, 2, 5]), rng.randbytes(rng.randrange(12))))
    item = _base64(rng, write_fields(entries))
    context = [
        (1, 1, rng.randbytes(8)),
        (3, 0, b"\x01"),
        map_entry(4, rng.choice(["overrides"] * 5 + ["other"]), item),
    ]
    if rng.random() < 0.2:
        context.append(map_entry(4, "other", "text"))
    return _base64(rng, write_fields([(2, LENGTH, _cut(rng, write_fields(context)))]))


def written(deployment: str) -> str:
    """Return a header that Detour itself writes."""
    return write_opentracing(None, Overrides.collect([Override(Kind.ROUTE, "users", deployment)]))


def _members(rng: Random, count: int) -> str:
    members = (
        rng.choice(KEYS) + rng.choice(EQUALS) + rng.choice(VALUES) + rng.choice(PROPERTIES) + rng.choice(COMMAS)
        for _ in range(count)
    )
    return "".join(members).removesuffix(",")


def _mangled(rng: Random, text: str) -> str:
    """Change, drop or insert a byte that a header line may hold."""
    at = rng.randrange(len(text) + 1)
    byte = chr(rng.choice([*range(32, 127), *range(128, 256), 9]))
    return text[:at] + rng.choice(["", byte, byte + byte]) + text[at + rng.choice([0, 1]) :]


def _base64(rng: Random, message: bytes) -> str:
    text = b64encode(_cut(rng, message)).decode()
    match rng.randrange(20):
        case 0:
            return text.rstrip("=")
        case 1:
            return text[: rng.randrange(len(text) + 1)]
        case 2:
            return _mangled(rng, text)
        case 3:
            return text + "="
        case _:
            return text


def _cut(rng: Random, message: bytes) -> bytes:
    return message[: rng.randrange(len(message) + 1)] if rng.random() < 0.05 else message
