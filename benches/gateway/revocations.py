"""Calls that fail when the vendor revokes all tokens before they expire."""

import contextlib
import http.client
import http.server
import json
import pathlib
import tempfile
import threading
import time

from programs import *

class Vendor(http.server.ThreadingHTTPServer):
    """Issues tokens with a stated lifetime of one hour. `revoke` revokes all of them."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self):
        self.lock = threading.Lock()
        self.epoch, self.logins, self.refused = 0, 0, 0
        super().__init__(("127.0.0.1", 0), Answers)
        self.port = self.server_address[1]

    def token(self):
        with self.lock:
            self.logins += 1
            return f"{TOKEN}-{self.epoch}-{self.logins}"

    def accepts(self, header):
        with self.lock:
            good = (header or "").startswith(f"Bearer {TOKEN}-{self.epoch}-")
            self.refused += not good
            return good

    def revoke(self):
        with self.lock:
            self.epoch += 1


class Answers(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body in one piece

    def log_message(self, *_):
        pass

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        good = self.server.accepts(self.headers["Authorization"])
        self.answer(200 if good else 401, BODY.encode() if good else b'{"error":"invalid_token"}')

    def do_POST(self):
        # /token expects client_credentials, and /login the body of our profile. Both issue the same kind
        # of token.
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == "/login":
            good = json.loads(body) == {"user": "svc", "password": "correct horse"}
        else:
            good = b"grant_type=client_credentials" in body
        if not good:
            return self.answer(401, b'{"error":"invalid_client"}')
        answer = {"access_token": self.server.token(), "token_type": "Bearer", "expires_in": 3600}
        self.answer(200, json.dumps(answer).encode())


def oauth2(upstream):
    kind = "type.googleapis.com/envoy.extensions.http.injected_credentials.oauth2.v3.OAuth2"
    endpoint = {"uri": f"http://127.0.0.1:{upstream}/token", "cluster": "vendor", "timeout": "3s"}
    client = {"client_id": "svc", "client_secret": {"name": "token"}}
    return {"name": "oauth2", "typed_config": {"@type": kind, "token_endpoint": endpoint, "token_fetch_retry_interval": "1s", "client_credentials": client}}


RETRY = ', retry_policy: { retry_on: "retriable-status-codes", retriable_status_codes: [401], num_retries: 1 }'


def client(port, every, until, statuses, lock):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    due = time.monotonic()
    while due < until:
        time.sleep(max(0.0, due - time.monotonic()))
        due += every
        try:
            connection.request("GET", "/things/1")
            answer = connection.getresponse()
            answer.read()
            status = answer.status
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            status = type(error).__name__
        with lock:
            statuses[status] = statuses.get(status, 0) + 1


def calls(port, options, vendor):
    statuses, lock = {}, threading.Lock()
    begin = time.monotonic()
    every = options.clients / options.calls
    arguments = (port, every, begin + options.for_seconds, statuses, lock)
    threads = [threading.Thread(target=client, args=arguments, daemon=True) for _ in range(options.clients)]
    for thread in threads:
        thread.start()
        time.sleep(every / options.clients)
    revocations = 0
    # No revocation at the end, because no calls would follow it.
    while (revocations + 1) * options.revoke_every < options.for_seconds:
        revocations += 1
        time.sleep(max(0.0, begin + revocations * options.revoke_every - time.monotonic()))
        vendor.revoke()
    for thread in threads:
        thread.join()
    return statuses, revocations


def revocations(options):
    print(f"{options.clients} clients make {options.calls} calls/s together for {options.for_seconds} s. All tokens are revoked every {options.revoke_every} s.\n")
    print("| | calls | revocations | failed (status ≠ 200) | failed per revocation | logins | statuses |")
    print("|---|--:|--:|--:|--:|--:|---|")
    starts = {
        BOOTSEAL: lambda stack, home, vendor: start_bootseal(stack, home, gateway(), Port(), upstream=vendor.port),
        f"{ENVOY}, oauth2": lambda stack, home, vendor: start_envoy(stack, home, ENVOY, Port(), vendor.port, "correct horse", oauth2(vendor.port)),
        f"{ENVOY}, oauth2, 401 retried": lambda stack, home, vendor: start_envoy(
            stack, home, ENVOY, Port(), vendor.port, "correct horse", oauth2(vendor.port), RETRY
        ),
    }
    for name, start in starts.items():
        with tempfile.TemporaryDirectory(prefix="bench-gateway-") as home, contextlib.ExitStack() as stack:
            vendor = Vendor()
            stack.callback(vendor.server_close)
            threading.Thread(target=vendor.serve_forever, daemon=True).start()
            stack.callback(vendor.shutdown)
            peer = start(stack, pathlib.Path(home), vendor)
            peer.answers()
            statuses, count = calls(peer.port, options, vendor)
            peer.must_answer_itself()
            failed = sum(number for status, number in statuses.items() if status != 200)
            seen = ", ".join(f"{status}: {number}" for status, number in sorted(statuses.items(), key=str))
            print(f"| {name} | {sum(statuses.values())} | {count} | {failed} | {failed / count:.1f} | {vendor.logins} | {seen} |", flush=True)
