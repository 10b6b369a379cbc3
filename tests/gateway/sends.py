"""Sends a body of 10 MiB to each path with http.client, five times, and prints the status of each answer."""

import http.client
import sys

for path in sys.argv[2:]:
    for _ in range(5):
        call = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=60)
        call.request("POST", path, b"x" * (10 << 20))
        print(call.getresponse().status)
        call.close()
