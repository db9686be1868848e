"""What holds for all tests."""

from hypothesis import HealthCheck, Phase, settings

# A test asserts no time, hypothesis' own included: the machine may be busy with something else.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")
# The same few examples for each mutant, and no search for a smaller one (bench/mutation).
settings.register_profile(
    "mutation",
    settings.get_profile("untimed"),
    max_examples=30,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
)
