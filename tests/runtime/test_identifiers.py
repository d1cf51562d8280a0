"""Names for clusters and members that follow from the settings alone."""

from typing import Any

import pytest

from raftwerk.runtime import identifiers
from raftwerk.runtime.settings import Settings

CLUSTER = {"a": ("http://a:1",), "b": ("http://b:1", "http://b:2"), "c": ("http://c:1",)}


def settings(name: str = "a", token: str = "token", **changed: Any) -> Settings:
    cluster = {**CLUSTER, **changed}
    return Settings(
        name=name,
        initial_cluster=cluster,
        initial_advertise_peer_urls=cluster[name],
        initial_cluster_token=token,
    )


def test_members_agree_on_all_ids() -> None:
    """Each computes them for itself."""
    a, b = settings("a"), settings("b")
    assert identifiers.node_ids(a) == identifiers.node_ids(b)
    assert identifiers.cluster_id(a) == identifiers.cluster_id(b)


def test_ids_never_change() -> None:
    """They are on disk: a new version must compute the same."""
    default = Settings()
    assert identifiers.node_ids(default) == {"default": 0x2DA3188192953C4D}
    assert identifiers.cluster_id(default) == 0x65DB9A21B8CAF2C7


def test_what_a_cluster_began_with_is_part_of_its_id() -> None:
    ids = {identifiers.cluster_id(settings(), origin) for origin in ("", "one", "another")}
    assert len(ids) == 3


def test_members_have_different_ids() -> None:
    assert len(set(identifiers.node_ids(settings()).values())) == len(CLUSTER)


def test_order_of_members_and_urls_does_not_matter() -> None:
    turned = Settings(
        name="a",
        initial_cluster={name: urls[::-1] for name, urls in reversed(CLUSTER.items())},
        initial_advertise_peer_urls=CLUSTER["a"],
        initial_cluster_token="token",
    )
    assert identifiers.node_ids(turned) == identifiers.node_ids(settings())
    assert identifiers.cluster_id(turned) == identifiers.cluster_id(settings())


@pytest.mark.parametrize(
    "other",
    [settings(token="another"), settings(c=("http://c:2",)), settings(d=("http://d:1",))],
    ids=["token", "url", "member"],
)
def test_other_settings_are_another_cluster(other: Settings) -> None:
    assert identifiers.cluster_id(other) != identifiers.cluster_id(settings())


def test_ids_are_positive_and_fit_into_63_bits() -> None:
    """Clients of etcd read them as signed numbers; 0 means nobody."""
    for number in range(100):
        assert 1 <= identifiers.node_id([f"http://h:{number}"], "token") < 2**63
