"""The names and shapes of the sets in our table: what the rules look things up in, and who fills them.

Pure. One place, so that those who write rules and those who add elements by netlink mean the same set.

    app_<app>_4/6        address                         the app's exclusive ranges; static, from the lists
    pass_<group>_4/6     address                         what exceptions take out of those for a group; static
    doh_4/6              address                         known resolvers of others; static, from the lists
    groups_4/6           address : chain of its group    whose packets are governed, by what; static
    asking_4/6           the same, for questions to port 53
    static_<group>_4/6   address                         what the gate always lets through; static
    learned_<app>_4/6    address, timeout                addresses of banned names (egress/learn)
    gate_4/6             device . address, timeout       what our DNS told a device
    cut_4/6              device . address . proto . port of the device . port, timeout   connections that were found out
    moved_4/6            device . address . port, timeout   where QUIC was cut: it must not go on from another port
    noted_4/6            device . address . proto . port, timeout   attempts that were logged a moment ago; the rules'

Static sets and maps are replaced with the rules, whole, and are there only if there is anything in them; those with a
timeout outlive a reload and every process of ours.
"""

from typing import Final

TABLE: Final = "blocker"  # of the family inet

GATE: Final = "gate"
CUT: Final = "cut"
MOVED: Final = "moved"
NOTED: Final = "noted"
DOH: Final = "doh"
GROUPS: Final = "groups"
ASKING: Final = "asking"
TRANSPORTS: Final = "transports"  # TCP and UDP, which have ports
DOT_PORTS: Final = "ports_dot"
RESOLVER_PORTS: Final = "ports_resolver"  # that have rules of their own

ADDRESS: Final = {4: "ipv4_addr", 6: "ipv6_addr"}  # nftables' types
PAIR: Final = {4: "ipv4_addr . ipv4_addr", 6: "ipv6_addr . ipv6_addr"}
FLOW: Final = {
    4: "ipv4_addr . ipv4_addr . inet_proto . inet_service",
    6: "ipv6_addr . ipv6_addr . inet_proto . inet_service",
}
CONNECTION: Final = {
    4: "ipv4_addr . ipv4_addr . inet_proto . inet_service . inet_service",
    6: "ipv6_addr . ipv6_addr . inet_proto . inet_service . inet_service",
}
PLACE: Final = {4: "ipv4_addr . ipv4_addr . inet_service", 6: "ipv6_addr . ipv6_addr . inet_service"}
VERSIONS: Final = (4, 6)
GATE_SIZE: Final = 1 << 20  # elements: some 1,000 devices that know 1,000 addresses each
LEARNED_SIZE: Final = 1 << 16
CUT_SIZE: Final = 1 << 18  # twice what the cutter holds: the next one begins to count anew
NOTED_SIZE: Final = 1 << 16  # full: ten lines a second in the log until some have passed; refused all the same


def sized(name: str, version: int) -> str:
    """Return the name of the set `name` for IP `version`."""
    return f"{name}_{version}"


def app(name: str, version: int) -> str:
    """Return the set of an app's exclusive ranges."""
    return sized(f"app_{name}", version)


def learned(name: str, version: int) -> str:
    """Return the set of addresses that an app's names were found to have."""
    return sized(f"learned_{name}", version)


def passing(group: str, version: int) -> str:
    """Return the set of what exceptions open for a group."""
    return sized(f"pass_{group}", version)


def static(group: str, version: int) -> str:
    """Return the set of what a group's gate always lets through."""
    return sized(f"static_{group}", version)
