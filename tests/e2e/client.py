"""Clients: dnspython's words over sockets of our own, so that a test can see ids, spellings, orders and ends."""

import itertools
import random
import select
import socket
import struct
import time

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype

PATIENCE = 8.0  # seconds a client waits for an answer
_ids = itertools.count(random.randrange(65536))


def query(name, qtype="A", *, edns=True, options=(), size=1232, do=False):
    """Return a query."""
    message = dns.message.make_query(name, qtype, id=next(_ids) & 0xFFFF)
    if edns:
        message.use_edns(0, dns.flags.DO if do else 0, size, options=list(options))
    return message


def addresses(message):
    """Return the addresses that an answer holds."""
    return [rr.address for rrset in message.answer for rr in rrset if rr.rdtype in (1, 28)]


def errors(message):
    """Return the extended errors of an answer: {code: text}."""
    return {int(option.code): option.text or "" for option in message.options if option.otype == dns.edns.EDE}


def rcode(message):
    return dns.rcode.to_text(message.rcode())


class Client:
    """A UDP socket that stays: the kernel gives all its queries to the same worker."""

    def __init__(self, address, source=None):
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.sock = socket.socket(family, socket.SOCK_DGRAM)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        if source:
            self.sock.bind((source, 0))
        self.sock.connect(address)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def send(self, message):
        self.sock.send(message if isinstance(message, bytes) else message.to_wire())

    def receive(self, patience=PATIENCE):
        """Return the next answer's bytes. Raises TimeoutError."""
        self.sock.settimeout(patience)
        return self.sock.recv(65536)

    def ask(self, name, qtype="A", patience=PATIENCE, **how):
        """Return the answer to a query; one that is not its answer is an error."""
        message = query(name, qtype, **how)
        self.send(message)
        heard = dns.message.from_wire(self.receive(patience))
        assert message.is_response(heard)
        return heard

    def ask_all(self, messages, window=200, patience=PATIENCE):
        """Send all `messages`, at most `window` unanswered at once; return those answered, by id."""
        waiting, heard, left = {}, {}, iter(messages)
        deadline = time.monotonic() + patience
        exhausted = False
        while (waiting or not exhausted) and time.monotonic() < deadline:
            while len(waiting) < window and not exhausted:
                message = next(left, None)
                if message is None:
                    exhausted = True
                    break
                waiting[message.id] = message
                self.send(message)
            if select.select([self.sock], [], [], 0.05)[0]:
                wire = self.sock.recv(65536)
                ident = int.from_bytes(wire[:2])
                if waiting.pop(ident, None) is not None:
                    heard[ident] = wire
        return heard


class Stream:
    """A TCP connection."""

    def __init__(self, address, source=None):
        self.sock = socket.create_connection(address, timeout=PATIENCE, source_address=(source, 0) if source else None)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def send(self, *messages):
        """Send all messages with one write."""
        wires = [each if isinstance(each, bytes) else each.to_wire() for each in messages]
        self.sock.sendall(b"".join(struct.pack("!H", len(wire)) + wire for wire in wires))

    def receive(self):
        """Return the next answer. Raises EOFError when the other side has closed, TimeoutError when it is silent."""
        while len(self.buffer) < 2 or len(self.buffer) < 2 + int.from_bytes(self.buffer[:2]):
            try:
                data = self.sock.recv(65536)
            except ConnectionResetError as error:
                raise EOFError from error
            if not data:
                raise EOFError
            self.buffer += data
        size = int.from_bytes(self.buffer[:2])
        wire, self.buffer = self.buffer[2 : 2 + size], self.buffer[2 + size :]
        return dns.message.from_wire(wire)

    def ask(self, name, qtype="A", **how):
        message = query(name, qtype, **how)
        self.send(message)
        heard = self.receive()
        assert message.is_response(heard)
        return heard

    def ended(self, within=PATIENCE):
        """Return after how many seconds the other side closed, which it must do `within` so many."""
        began = time.monotonic()
        self.sock.settimeout(within)
        try:
            while self.sock.recv(65536):
                pass
        except ConnectionResetError:
            pass
        return time.monotonic() - began
