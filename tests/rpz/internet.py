"""A small Internet on loopback: a root, top-level domains, and zones with name servers of their own, at port 53.

For resolvers that find the servers of a zone themselves, from the root down. Needs root's rights, for the port.
"""

import random
import selectors
import socket
import threading

from dnslib import QTYPE, RCODE, RR, DNSRecord

V4, V6 = "93.184.215.14", "2606:2800:21f:cb07::e"
SOA = "{zone} 60 SOA ns.{zone} host.{zone} 1 3600 600 86400 60"
TOPS = ("example.", "net.")


class Internet:
    """Serves `zones`: name -> (a name server's name, the last octet of its address)."""

    def __init__(self, zones):
        self.zones = {f"{zone}.": (f"{server}.", last) for zone, (server, last) in zones.items()}
        self._lasts = sorted({1, 2, *(last for _, last in self.zones.values())})
        self._selector = selectors.DefaultSelector()
        for _ in range(20):
            self.net = f"127.{random.randrange(64, 120)}.{random.randrange(1, 250)}"
            if self._bind():
                break
        else:
            raise OSError("port 53 is taken on 20 networks of loopback")
        self._stop, stopped = socket.socketpair()
        self._selector.register(stopped, selectors.EVENT_READ, None)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def address(self, last):
        return f"{self.net}.{last}"

    @property
    def hints(self):
        """The root hints, as a zone file."""
        return f". 3600 NS a.root.net.\na.root.net. 3600 A {self.address(1)}\n"

    def close(self):
        self._stop.close()
        self._thread.join()

    def _bind(self):
        made = []
        try:
            for last in self._lasts:
                made.append((socket.socket(socket.AF_INET, socket.SOCK_DGRAM), last))
                made[-1][0].bind((self.address(last), 53))
        except OSError:
            for sock, _ in made:
                sock.close()
            return False
        for sock, last in made:
            self._selector.register(sock, selectors.EVENT_READ, last)
        return True

    def _serve(self):
        while True:
            for key, _ in self._selector.select():
                if key.data is None:
                    for each in list(self._selector.get_map().values()):
                        each.fileobj.close()
                    return
                packet, peer = key.fileobj.recvfrom(4096)
                key.fileobj.sendto(bytes(self._answer(DNSRecord.parse(packet), key.data).pack()), peer)

    def _answer(self, query, last):
        name, kind = str(query.q.qname).lower(), QTYPE[query.q.qtype]
        reply = query.reply(ra=0)
        if last == 1:
            top = next((each for each in TOPS if name.endswith(f".{each}") or name == each), None)
            if top is None:
                return self._own(reply, ".", "a.root.net.", 1, name, kind)
            return self._refer(reply, top, f"a.{top}", 2)
        if last == 2:
            zone = self._zone(name)
            top = next((each for each in TOPS if name.endswith(each)), "net.")
            if zone is None or (zone == name and kind == "DS"):
                return self._own(reply, top, f"a.{top}", 2, name, kind)
            return self._refer(reply, zone, *self.zones[zone])
        zone = self._zone(name)
        if zone is None or self.zones[zone][1] != last:
            reply.header.rcode = RCODE.REFUSED
            return reply
        return self._own(reply, zone, *self.zones[zone], name, kind)

    def _zone(self, name):
        """Return the nearest zone at or above a name."""
        labels = name.split(".")
        uppers = (".".join(labels[at:]) for at in range(len(labels)))
        return next((upper for upper in uppers if upper in self.zones), None)

    def _refer(self, reply, zone, server, last):
        reply.header.aa = 0
        reply.add_auth(*RR.fromZone(f"{zone} 60 NS {server}"))
        reply.add_ar(*RR.fromZone(f"{server} 60 A {self.address(last)}"))
        return reply

    def _own(self, reply, zone, server, last, name, kind):
        reply.header.aa = 1
        if kind == "NS" and name == zone:
            reply.add_answer(*RR.fromZone(f"{zone} 60 NS {server}"))
            reply.add_ar(*RR.fromZone(f"{server} 60 A {self.address(last)}"))
        elif kind in ("A", "AAAA") and (told := self._told(name, kind)):
            reply.add_answer(*RR.fromZone(f"{name} 60 {kind} {told}"))
        else:
            reply.add_auth(*RR.fromZone(SOA.format(zone=zone if zone != "." else "root.net.")))
        return reply

    def _told(self, name, kind):
        """Return the address of a name: a server's own, the one that is spelt in it, or everybody's."""
        for server, last in (("a.root.net.", 1), ("a.net.", 2), ("a.example.", 2), *self.zones.values()):
            if name == server:
                return self.address(last) if kind == "A" else None
        if name.startswith("ip-"):
            return name.partition(".")[0][3:].replace("-", ".") if kind == "A" else None
        return V4 if kind == "A" else V6
