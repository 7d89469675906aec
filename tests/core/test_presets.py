import pytest

from reconciler.core.endpoint import normalise
from reconciler.core.presets import PRESETS, default_ownership
from reconciler.core.profile import PROFILES


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_consistent(name: str) -> None:
    preset = PRESETS[name]
    profile = PROFILES[preset.profile]
    assert preset.ownership == default_ownership(profile)
    if preset.endpoint is not None:
        assert normalise(preset.endpoint) == preset.endpoint


def test_services_that_only_their_users_know_have_no_endpoint() -> None:
    assert [name for name, preset in PRESETS.items() if preset.endpoint is None] == ["helia", "sandbox"]


def test_pinata_lists_slower_than_it_works() -> None:
    limits = PRESETS["pinata"].limits
    assert (str(limits.requests), str(limits.listing)) == ("60/min", "30/min")
