"""The socket against the real kernel, in a namespace of the test's own."""

import errno
import time
from ipaddress import ip_address

import pytest

from blocker.egress.elements import Drop, Element, Put, concatenated
from blocker.egress.netlink import Netlink, version_of
from blocker.errors import KernelError
from tests.egress.namespace import Namespace

SETS = """table inet blocker {
    set learned_wechat_4 { type ipv4_addr; flags timeout; size 1000; }
    set gate_4 { type ipv4_addr . ipv4_addr; flags timeout; size 100000; }
    set gate_6 { type ipv6_addr . ipv6_addr; flags timeout; size 100000; }
    set cut_4 { type ipv4_addr . ipv4_addr . inet_proto . inet_service; flags timeout; }
    set many { type ipv4_addr; flags timeout; size 70000; }
}
"""
MODERN = "6.12.0-1-amd64"
OLD = "6.1.0-13-amd64"
HOUR = 3_600_000


def packed(text: str) -> bytes:
    return ip_address(text).packed


def addresses(count: int) -> list[bytes]:
    return [(0x0A000000 + number).to_bytes(4) for number in range(count)]


@pytest.fixture
def inside():
    with Namespace() as namespace:
        namespace.nft(SETS)
        yield namespace


@pytest.fixture
def kernel(inside):
    with inside.run(Netlink) as made:
        yield made


@pytest.mark.parametrize(
    ("name", "key", "shown"),
    [
        ("learned_wechat_4", packed("192.0.2.1"), "192.0.2.1"),
        ("gate_4", concatenated(packed("10.0.0.2"), packed("192.0.2.1")), "10.0.0.2 . 192.0.2.1"),
        ("gate_6", concatenated(packed("2001:db8::2"), packed("2001:db8::1")), "2001:db8::2 . 2001:db8::1"),
        (
            "cut_4",
            concatenated(packed("10.0.0.2"), packed("192.0.2.1"), b"\x06", (443).to_bytes(2)),
            "10.0.0.2 . 192.0.2.1 . tcp . 443",
        ),
    ],
)
def test_what_is_put_is_what_nft_shows(inside, kernel, name, key, shown):
    kernel.apply([Put(name, [Element(key, HOUR)])])
    assert f"{shown} timeout 1h expires " in inside.listed(f"set inet blocker {name}")


@pytest.mark.parametrize("release", [MODERN, OLD])
def test_an_element_that_is_put_again_lives_on(inside, release):
    """An equal time is no news to the kernel by itself: it must be told."""
    with inside.run(lambda: Netlink(release=release)) as kernel:
        key = packed("192.0.2.1")
        kernel.apply([Put("many", [Element(key, 60_000)])])
        time.sleep(0.15)
        before = kernel.dump("many")[0].left
        assert before < 59_900
        kernel.apply([Put("many", [Element(key, 60_000)])])
        assert kernel.dump("many")[0].left > before
        kernel.apply([Put("many", [Element(key, 1000)])])
        assert kernel.dump("many")[0].left <= 1000


def test_an_element_ends_by_itself(kernel):
    kernel.apply([Put("many", [Element(packed("192.0.2.1"), 50)])])
    time.sleep(0.1)
    assert kernel.dump("many") == []


def test_one_transaction_for_many_sets(kernel):
    gate = concatenated(packed("10.0.0.2"), packed("192.0.2.1"))
    kernel.apply([Put("many", [Element(each, HOUR) for each in addresses(3)]), Put("gate_4", [Element(gate, HOUR)])])
    kernel.apply([Drop("many", addresses(2)), Drop("gate_4", [gate, bytes(8)])])  # what is not there is no error
    assert [each.key for each in kernel.dump("many")] == [b"\x0a\0\0\2"]
    assert kernel.dump("gate_4") == []


def test_more_than_an_attribute_holds(kernel):
    """A list of elements has 64 kB at the most; a transaction holds many, and a dump has many pages."""
    wanted = addresses(50_000)
    kernel.apply([Put("many", [Element(each, HOUR) for each in wanted])])
    assert sorted(each.key for each in kernel.dump("many")) == wanted
    kernel.apply([Drop("many", wanted[1:])])
    assert [each.key for each in kernel.dump("many")] == wanted[:1]


def test_elements_without_a_time_stay(kernel):
    kernel.apply([Put("many", [Element(packed("192.0.2.1"))])])
    assert kernel.dump("many") == [Element(packed("192.0.2.1"), 0)]


@pytest.mark.parametrize(
    ("changes", "number", "said"),
    [
        ([Put("many", [Element(b"\1\2\3\4", HOUR)]), Put("absent", [Element(b"\1\2\3\4")])], errno.ENOENT, "apply"),
        ([Put("many", [Element(b"\1\2\3\4", HOUR)]), Put("gate_4", [Element(b"\1\2\3\4")])], errno.EINVAL, "fit"),
        ([Put("many", [Element(each, HOUR) for each in addresses(70_001)])], errno.ENFILE, "is full"),
        ([Put("learned_wechat_4", [Element(each, HOUR) for each in addresses(1001)])], errno.ENFILE, "is full"),
    ],
)
def test_a_transaction_is_whole_or_nothing(kernel, changes, number, said):
    with pytest.raises(KernelError, match=said) as caught:
        kernel.apply(changes)
    assert caught.value.number == number
    assert kernel.dump("many") == []
    kernel.apply([Put("many", [Element(b"\1\2\3\4", HOUR)])])  # and the socket is none the worse


def test_nothing_to_change_is_no_transaction(kernel):
    kernel.apply([])
    kernel.apply([Put("many", []), Drop("many", [])])
    assert kernel.dump("many") == []


def test_a_dump_of_what_is_not_there(kernel):
    with pytest.raises(KernelError, match=r"nftables: absent: .*`blocker egress apply`"):
        kernel.dump("absent")


def test_whether_a_set_holds_an_element(kernel, inside):
    one, other = concatenated(packed("10.0.0.2"), packed("192.0.2.1")), concatenated(packed("10.0.0.2"), packed("::"))
    kernel.apply([Put("gate_4", [Element(one, HOUR)])])
    assert kernel.holds("gate_4", one)
    assert not kernel.holds("gate_4", other[:8])
    assert not kernel.holds("absent", one)
    kernel.apply([Put("gate_4", [Element(one, 50)])])
    time.sleep(0.25)
    assert not kernel.holds("gate_4", one)  # it has ended
    with pytest.raises(KernelError) as caught:
        kernel.holds("gate_4", bytes(20))
    assert caught.value.number == errno.EINVAL


def test_without_a_table(kernel, inside):
    inside.nft("delete table inet blocker")
    with pytest.raises(KernelError) as caught:
        kernel.apply([Put("many", [Element(b"\1\2\3\4", HOUR)])])
    assert caught.value.number == errno.ENOENT


@pytest.mark.parametrize(
    ("release", "version"), [(OLD, (6, 1)), (MODERN, (6, 12)), ("6.18-rc3", (6, 18)), ("5.10.0+", (5, 10))]
)
def test_the_kernels_version(release, version):
    assert version_of(release) == version
