"""Documents of a manifest as text, before anything in them counts."""

import pytest
import yaml

from detour.injection.documents import parse


@pytest.mark.parametrize(
    "value", ["!!timestamp x", "!!int x", "!!float x", "!!bool x", "!!binary 1", "0x_", "!!set x"]
)
def test_a_value_that_is_not_of_its_type_is_a_mistake_in_the_document(value: str) -> None:
    """PyYAML raises errors of many types for these."""
    with pytest.raises(yaml.YAMLError):
        parse(f"a: {value}")
