"""Resolvers of Debian's packages on loopback, with policy zones, and how they answer."""

import re
import select
import shutil
import socket
import subprocess
import time

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype

from tests.e2e.daemon import PATIENCE, eventually, free_port

SINKHOLES = {"0.0.0.0", "::"}
_AT_ONCE = 50  # questions that are sent before answers are read: what more would not fit into buffers


class Server:
    """A resolver in a folder of its own; it ends with the test."""

    def __init__(self, folder, command, port):
        self.folder = folder
        self.port = port
        self.address = ("127.0.0.1", port)
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder)

    @property
    def log(self):
        return (self.folder / "log").read_text()

    def wait(self, found, within=PATIENCE):
        """Wait for something; it may not end meanwhile."""

        def alive():
            assert self.process.poll() is None, self.log
            return found()

        try:
            return eventually(alive, within)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log[-5000:]}") from error

    def verdict(self, name, kind="A"):
        return verdicts(self.address, [name], kind)[name]

    def close(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(PATIENCE)


def unbound(folder, upstream, zones, extra=""):
    """Start Unbound with the policy `zones`: each a name and the clauses that follow it; it asks `upstream`."""
    return _unbound(
        folder, zones, f'{extra}\nforward-zone:\n  name: "."\n  forward-addr: {upstream.host}@{upstream.port}\n'
    )


def recursive(folder, hints, zones=()):
    """Start Unbound that finds name servers itself, from the root whose addresses are in the file `hints`."""
    extra = f'  root-hints: "{hints}"\n  target-fetch-policy: "0 0 0 0 0"\n  qname-minimisation: no\n'
    return _unbound(folder, zones, extra)


def _unbound(folder, zones, extra):
    folder.mkdir()
    port = free_port("127.0.0.1")
    policies = "".join(f'rpz:\n  name: "{name}"\n{clauses}\n' for name, clauses in zones)
    (folder / "unbound.conf").write_text(
        f"""server:
  interface: 127.0.0.1
  port: {port}
  directory: "{folder}"
  chroot: ""
  username: ""
  pidfile: ""
  use-syslog: no
  logfile: ""
  verbosity: 2
  do-daemonize: no
  do-not-query-localhost: no
  module-config: "respip iterator"
  rrset-cache-size: 4m
  cache-max-ttl: 0
  num-threads: 1
{extra}
{policies}"""
    )
    return Server(folder, [_found("unbound"), "-d", "-c", str(folder / "unbound.conf")], port)


def named(folder, options, statements, keeps=0):
    """Start BIND with more `options` and `statements`; it `keeps` what it has heard for so many seconds."""
    folder.mkdir()
    port = free_port("127.0.0.1")
    (folder / "named.conf").write_text(
        f"""options {{
  directory "{folder}";
  pid-file none;
  session-keyfile none;
  listen-on port {port} {{ 127.0.0.1; }};
  listen-on-v6 {{ none; }};
  dnssec-validation no;
  empty-zones-enable no;
  max-cache-ttl {keeps};
  {options}
}};
controls {{ }};
{statements}"""
    )
    return Server(folder, [_found("named"), "-g", "-n", "1", "-c", str(folder / "named.conf")], port)


def forwarding(upstream):
    """Return BIND's options of a resolver that asks `upstream`."""
    return f"recursion yes; forward only; forwarders {{ {upstream.host} port {upstream.port}; }};"


def _found(program):
    found = shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin")
    assert found, f"{program} is not installed: .ci/system-packages test"
    return found


def verdicts(address, names, kind="A", wait=2.0, attempts=3, client=""):
    """Return what happens to each of `names`: pass, sinkhole, nxdomain, nodata, tcp-only, drop, or a failure's rcode.

    They are asked from the address `client`, if it is said.
    """
    found = {}
    missing = list(names)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        if client:
            sock.bind((client, 0))
        sock.connect(address)
        for _ in range(attempts):
            numbers = dict(enumerate(missing, 1))
            for number, name in numbers.items():
                sock.send(dns.message.make_query(name, kind, id=number).to_wire())
                if number % _AT_ONCE == 0:
                    _collect(sock, numbers, found, missing[number - _AT_ONCE : number], 0.2)
            _collect(sock, numbers, found, missing, wait)
            missing = [name for name in missing if name not in found]
            if not missing:
                break
    return found | dict.fromkeys(missing, "drop")


def _collect(sock, numbers, found, wanted, wait):
    """Read answers until all `wanted` are there or none came for `wait` seconds."""
    while any(name not in found for name in wanted):
        if not select.select([sock], [], [], wait)[0]:
            return
        try:
            answer = dns.message.from_wire(sock.recv(65535))
        except ConnectionRefusedError:
            time.sleep(0.05)
            return
        found[numbers[answer.id]] = judged(answer)


def judged(answer):
    """Return what a resolver's answer means."""
    if answer.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        return dns.rcode.to_text(answer.rcode()).lower()
    if answer.flags & dns.flags.TC:
        return "tcp-only"
    addresses = {
        rdata.address
        for rrset in answer.answer
        for rdata in rrset
        if rrset.rdtype in (dns.rdatatype.A, dns.rdatatype.AAAA)
    }
    if addresses:
        return "sinkhole" if addresses <= SINKHOLES else "pass"
    return "nxdomain" if answer.rcode() == dns.rcode.NXDOMAIN else "nodata"


def serial(address, zone, kind="SOA"):
    """Return the serial that a server has of `zone`, None if it has none."""
    query = dns.message.make_query(zone, kind)
    query.flags &= ~dns.flags.RD
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(1)
        sock.connect(address)
        try:
            sock.send(query.to_wire())
            answer = dns.message.from_wire(sock.recv(65535))
        except OSError:
            return None
    return next((rdata.serial for rrset in answer.answer for rdata in rrset), None)


def count(text, pattern):
    return len(re.findall(pattern, text))
