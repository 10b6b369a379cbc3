"""The server that simplejwt.py, oauth_toolkit.py and rest_knox.py share.

It runs Django and Django REST framework in one process, on 127.0.0.1 and a free port, over TLS:

    python VENDOR.py --dir DIR [--life SECONDS] [--limit TOKENS]

DIR/user.json contains {"username": …, "password": …}; the database and the certificate are also written to DIR.
The first line on stdout is {"port": N, "ca": "<PEM>"}. Then each line on stdin is a command in JSON, and is
answered by one line. The server ends at the end of stdin.

    {"do": "deactivate"} {"do": "activate"}      deactivates or activates the user, as an administrator would
    {"do": "password", "password": …}            changes the user's password, as an administrator would
    {"do": "revoke-all"}                         revokes every token issued so far
    {"do": "counts"}                             returns, for each kind of request, how many succeeded and how
                                                 many did not: logins and refused (the login), calls and
                                                 rejected (/api/whoami/, /api/echo/)

oauth_toolkit.py has one more command, {"do": "expire"}.
"""

import argparse
import datetime
import ipaddress
import json
import logging
import os
import pathlib
import secrets
import ssl
import sys
import threading

import django
from django.conf import settings

parser = argparse.ArgumentParser()
parser.add_argument("--dir", type=pathlib.Path, required=True)
parser.add_argument("--life", type=int, default=300)
parser.add_argument("--limit", type=int)
args = parser.parse_args()
life = datetime.timedelta(seconds=args.life)

counts = {"logins": 0, "refused": 0, "calls": 0, "rejected": 0}
counts_lock = threading.Lock()
CALLS = "calls", "rejected"
# The paths that are counted, each with the names of its two counts, or with a function that returns them for a request.
counted = {"/api/whoami/": CALLS, "/api/echo/": CALLS}
# Further commands of one vendor, by name.
orders = {}


def count(get_response):
    def middleware(request):
        response = get_response(request)
        names = counted.get(request.path)
        if names:
            good, bad = names(request) if callable(names) else names
            name = good if response.status_code < 300 else bad
            with counts_lock:
                counts[name] = counts.get(name, 0) + 1
        return response

    return middleware


class HasToken:
    """Requires a token, but no user: a client that logs in with its own credentials has no user."""

    def has_permission(self, request, view):
        return request.auth is not None


def configure(apps, authentication, **more):
    settings.configure(
        SECRET_KEY=secrets.token_urlsafe(48),
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF="__main__",
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "rest_framework", *apps],
        MIDDLEWARE=["serving.count", "django.middleware.common.CommonMiddleware"],
        DATABASES={
            "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": args.dir / "db.sqlite3", "OPTIONS": {"timeout": 20}}
        },
        DATA_UPLOAD_MAX_MEMORY_SIZE=None,
        # A cheap hash, as Django advises for tests. The default hash uses about a second of CPU time for each password and
        # client secret, so that on a busy machine a login would take longer than its caller waits.
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        USE_TZ=True,
        REST_FRAMEWORK={
            "DEFAULT_AUTHENTICATION_CLASSES": [authentication],
            "DEFAULT_PERMISSION_CLASSES": ["serving.HasToken"],
            "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
        },
        LOGGING_CONFIG=None,
        **more,
    )
    logging.disable(logging.WARNING)  # errors inside the server (status 500) are still written to stderr
    django.setup()


def calls():
    """The paths that need a token. To be called after `configure`, because the imports here read the settings."""
    from django.urls import path
    from rest_framework.decorators import api_view
    from rest_framework.response import Response

    @api_view(["GET"])
    def whoami(request):
        # A token that a client got with its own credentials has no user.
        return Response({"user": request.user.get_username() if request.user else None})

    @api_view(["POST"])
    def echo(request):
        return Response({"length": len(request.body)})

    return [path("api/whoami/", whoami), path("api/echo/", echo)]


def obey(order, username, revoke_all):
    from django.contrib.auth import get_user_model

    user = get_user_model().objects.get(username=username)
    match order["do"]:
        case "activate" | "deactivate" as do:
            user.is_active = do == "activate"
            user.save()
        case "password":
            user.set_password(order["password"])
            user.save()
        case "revoke-all":
            revoke_all()
        case "counts":
            with counts_lock:
                return dict(counts)
        case do if do in orders:
            orders[do]()
        case _:
            raise ValueError
    return {"ok": True}


def say(answer):
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def control(username, revoke_all):
    try:
        for line in sys.stdin.buffer:
            try:
                answer = obey(json.loads(line), username, revoke_all)
            except Exception as error:  # the text of the error could quote the line, and with it a password
                answer = {"error": type(error).__name__}
            say(answer)
    finally:
        os._exit(0)


class TlsSocket(ssl.SSLSocket):
    def shutdown(self, how):
        try:  # to send close_notify, without waiting for the peer's
            self.settimeout(0)
            self.unwrap()
        except (OSError, ValueError):
            pass
        super().shutdown(how)


def certificates(directory):
    """Makes a CA and a certificate for 127.0.0.1, and returns the CA's PEM and the server's TLS context."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    pem, now, day = Encoding.PEM, datetime.datetime.now(datetime.timezone.utc), datetime.timedelta(days=1)
    ca_key, leaf_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())

    def sign(subject, key, extensions):
        ca, subject = (x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, n)]) for n in ("Test CA", subject))
        builder = x509.CertificateBuilder(ca, subject, key.public_key(), x509.random_serial_number(), now - day, now + 30 * day)
        ids = x509.SubjectKeyIdentifier, x509.AuthorityKeyIdentifier
        extensions += [ids[0].from_public_key(key.public_key()), ids[1].from_issuer_public_key(ca_key.public_key())]
        for extension in extensions:
            builder = builder.add_extension(extension, isinstance(extension, (x509.BasicConstraints, x509.KeyUsage)))
        return builder.sign(ca_key, hashes.SHA256()).public_bytes(pem)

    signs_certificates = x509.KeyUsage(*[False] * 5, True, True, False, False)
    ca = sign("Test CA", ca_key, [x509.BasicConstraints(True, 0), signs_certificates])
    san = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    server_only = x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.SERVER_AUTH])
    leaf = sign("Test vendor", leaf_key, [x509.BasicConstraints(False, None), san, server_only])
    (directory / "leaf.pem").touch(0o600)
    (directory / "leaf.pem").write_bytes(leaf + leaf_key.private_bytes(pem, PrivateFormat.PKCS8, NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.sslsocket_class = TlsSocket
    context.load_cert_chain(directory / "leaf.pem")
    return ca.decode(), context


def serve(login, names, revoke_all, prepare=lambda user: None):
    """Serves until stdin ends. `login` is the path that is counted as `names`. `prepare` is called with the user once, before the
    server starts."""
    from django.contrib.auth import get_user_model
    from django.core.management import call_command
    from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
    from django.core.wsgi import get_wsgi_application
    from django.urls import resolve

    class Handler(WSGIRequestHandler):
        disable_nagle_algorithm = True  # head and body are two writes

        def log_message(self, format, *args):
            pass

    class Server(ThreadedWSGIServer):
        def handle_error(self, request, client_address):
            # Clients that disconnect, or do not trust the certificate, are part of the tests.
            if not isinstance(sys.exc_info()[1], OSError):
                super().handle_error(request, client_address)

    counted[login] = names
    call_command("migrate", verbosity=0, interactive=False)
    wanted = json.loads((args.dir / "user.json").read_text("utf-8"))
    user, _ = get_user_model().objects.get_or_create(username=wanted["username"])
    user.set_password(wanted["password"])
    user.save()
    prepare(user)
    server = Server(("127.0.0.1", 0), Handler)
    server.set_app(get_wsgi_application())
    resolve(login)  # loads the URL patterns now, so that the first request is not slower
    ca, context = certificates(args.dir)
    # Each connection's own thread makes the handshake, not the thread that accepts connections.
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    say({"port": server.server_port, "ca": ca})
    threading.Thread(target=control, args=[user.username, revoke_all], daemon=True).start()
    server.serve_forever()
