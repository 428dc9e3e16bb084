"""Packets as scapy makes them, and connections made of them."""

from ipaddress import ip_address

from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether

from blocker.egress import packets

LINK = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")  # said, or scapy would ask the network for it
DEVICE, SERVER = "192.0.2.9", "198.51.100.7"
DEVICE_6, SERVER_6 = "2001:db8::9", "2001:db8:5::7"


def packed(address):
    return ip_address(address).packed


def ip(source, destination):
    return IPv6(src=source, dst=destination) if ":" in source else IP(src=source, dst=destination)


class Connection:
    """A device's TCP connection: frames from it to a server."""

    def __init__(self, port=443, source=DEVICE, destination=SERVER, source_port=40000, start=1000):
        self.head = LINK / ip(source, destination)
        self.ports = {"sport": source_port, "dport": port}
        self.start = start

    def syn(self, payload=b""):
        return bytes(self.head / TCP(**self.ports, flags="S", seq=self.start) / payload)

    def data(self, payload, at=0, urgent=0):
        """Return a segment whose first octet is number `at` of the stream, with `urgent` data up to there."""
        sequence = (self.start + 1 + at) % (1 << 32)
        flags = "PAU" if urgent else "PA"
        return bytes(self.head / TCP(**self.ports, flags=flags, seq=sequence, ack=1, urgptr=urgent) / payload)


def datagram(payload, port=443, source=DEVICE, destination=SERVER, source_port=40000):
    return bytes(LINK / ip(source, destination) / UDP(sport=source_port, dport=port) / payload)


def read(frame):
    packet = packets.read(frame)
    assert packet is not None
    return packet
