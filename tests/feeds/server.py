"""A publisher of lists: HTTPS on loopback, with a certificate authority of its own, that a test can make misbehave."""

import datetime
import ipaddress
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HOST = "lists.example"


class Authority:
    """A certificate authority, and what it has signed."""

    def __init__(self, folder):
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test authority")])
        extensions = [(x509.BasicConstraints(ca=True, path_length=0), True)]
        self._certificate = self._signed(self._name, self._key.public_key(), extensions)
        self.file = folder / "ca.pem"
        self.file.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))

    def chain(self, *hosts):
        """Return a file with a key and a certificate for `hosts`, names or addresses."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hosts[0])])
        extensions = [(x509.SubjectAlternativeName([_general(host) for host in hosts]), False)]
        certificate = self._signed(name, key.public_key(), extensions)
        file = self._folder / f"{hosts[0]}.pem"
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        file.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
        return file

    def _signed(self, name, public, extensions):
        now = datetime.datetime.now(datetime.UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), False)
        )
        for extension, critical in extensions:
            made = made.add_extension(extension, critical)
        return made.sign(self._key, hashes.SHA256())


def _general(host):
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


class Publisher:
    """Answers GET with what `pages` hold for a path: octets, or a function of the request's handler."""

    def __init__(self, chain=None):
        """Serve HTTPS with the key and certificate in `chain`, or HTTP without."""
        self.pages = {}
        self.asked = []  # path and headers of each request
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self._server.publisher = self
        self.port = self._server.server_address[1]
        if chain is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(chain)
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._scheme = "http" if chain is None else "https"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def url(self, path, host="127.0.0.1"):
        return f"{self._scheme}://{host}:{self.port}{path}"

    def close(self):
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 5

    def do_GET(self):
        publisher = self.server.publisher
        publisher.asked.append((self.path, dict(self.headers)))
        page = publisher.pages.get(self.path.partition("?")[0])
        try:
            if page is None:
                self.say(404, b"no such list\n")
            elif isinstance(page, bytes):
                self.say(200, page)
            else:
                page(self)
        except OSError:
            pass  # the other side has had enough
        self.close_connection = True

    def say(self, status, body=b"", **headers):
        self.send_response(status)
        said = {name.replace("_", "-"): value for name, value in headers.items()}
        for name, value in {"Content-Type": "text/plain", "Content-Length": str(len(body)), **said}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass
