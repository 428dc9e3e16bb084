"""How client addresses appear in logs."""

import re
from ipaddress import ip_address
from pathlib import Path

import pytest

from blocker.config import ClientPrivacy, Log
from blocker.errors import ConfigError
from blocker.sinks import privacy

KEY = bytes(range(16))


def text(address: str, **log: object) -> str:
    """Return how `address` is shown under the section `log`."""
    return privacy.shown(Log.model_validate(log))(ip_address(address).packed)


@pytest.mark.parametrize(
    ("address", "bits", "shown"),
    [
        ("192.0.2.1", {}, "192.0.2.0/24"),
        ("192.0.2.255", {"truncate_v4": 25}, "192.0.2.128/25"),
        ("192.0.2.1", {"truncate_v4": 0}, "0.0.0.0/0"),
        ("192.0.2.1", {"truncate_v4": 32}, "192.0.2.1/32"),
        ("2001:db8:1:2::3", {}, "2001:db8:1::/48"),
        ("2001:db8:1:2::3", {"truncate_v6": 64}, "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", {}, "192.0.2.0/24"),  # an IPv4 client of an IPv6 socket
    ],
)
def test_truncated_is_a_prefix(address: str, bits: dict[str, int], shown: str) -> None:
    assert text(address, clients=ClientPrivacy.TRUNCATE, **bits) == shown


@pytest.mark.parametrize(
    ("address", "shown"),
    [("192.0.2.1", "192.0.2.1"), ("2001:db8::1", "2001:db8::1"), ("::ffff:192.0.2.1", "192.0.2.1"), ("::1", "::1")],
)
def test_full(address: str, shown: str) -> None:
    assert text(address) == shown


@pytest.mark.parametrize("key", [KEY, KEY * 4, KEY * 5], ids=["least", "longest BLAKE2b takes", "longer"])
def test_a_hash_is_stable_and_keyed(tmp_path: Path, key: bytes) -> None:
    file, other = tmp_path / "key", tmp_path / "other"
    file.write_bytes(key)
    other.write_bytes(key[:-1] + b"?")
    first = text("192.0.2.1", clients=ClientPrivacy.HASH, hash_key_file=file)
    assert re.fullmatch("[0-9a-f]{16}", first)
    assert text("192.0.2.1", clients=ClientPrivacy.HASH, hash_key_file=file) == first
    assert text("::ffff:192.0.2.1", clients=ClientPrivacy.HASH, hash_key_file=file) == first
    assert text("192.0.2.2", clients=ClientPrivacy.HASH, hash_key_file=file) != first
    assert text("192.0.2.1", clients=ClientPrivacy.HASH, hash_key_file=other) != first


def test_a_short_key_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_bytes(KEY[:15])
    with pytest.raises(ConfigError, match=r"log\.hash_key_file: .*key: holds 15 bytes, and 16 are the least"):
        text("192.0.2.1", clients=ClientPrivacy.HASH, hash_key_file=file)


def test_a_missing_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        text("192.0.2.1", clients=ClientPrivacy.HASH, hash_key_file=tmp_path / "key")


def test_hashing_without_a_key_never_shows_addresses() -> None:
    log = Log().model_copy(update={"clients": ClientPrivacy.HASH})  # around the model's own check
    with pytest.raises(ConfigError, match="need a key"):
        privacy.shown(log)
