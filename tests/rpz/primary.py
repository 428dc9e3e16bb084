"""A primary that says what a test wants, in a thread: each connection gets the next script's messages."""

import contextlib
import socket
import threading

import dns.flags
import dns.message
import dns.rrset


class Primary:
    """Listens on loopback; `scripts` are functions of a query that return the messages (bytes) to send."""

    def __init__(self, *scripts):
        self.queries = []
        self._scripts = list(scripts)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                with sock, contextlib.suppress(OSError):
                    sock.settimeout(5)
                    size = int.from_bytes(sock.recv(2))
                    packet = sock.recv(size)
                    query = dns.message.from_wire(packet, keyring=False)
                    self.queries.append(query)
                    script = self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0]
                    for message in script(query):
                        sock.sendall(len(message).to_bytes(2) + message)

    def close(self):
        self._listener.close()


def soa(serial, refresh=300, retry=60, expire=86400):
    return f"@ SOA . . {serial} {refresh} {retry} {expire} 60"


def says(*messages, origin="rpz.example.", change=lambda message: message):
    """Return a script that sends these messages, each a list of records `owner type rdata`."""

    def script(query):
        return [change(_message(query, records, origin)).to_wire(max_size=65535) for records in messages]

    return script


def _message(query, records, origin):
    reply = dns.message.Message(query.id)
    reply.flags = dns.flags.QR | dns.flags.AA
    reply.question = list(query.question)
    for text in records:
        owner, kind, rdata = text.split(" ", 2)
        name = origin if owner == "@" else owner if owner.endswith(".") else f"{owner}.{origin}"
        reply.answer.append(dns.rrset.from_text(name, 60, "IN", kind, rdata))
    return reply
