"""Calls the route whose URL is the first argument, with the library `requests`: a session, bodies, a redirect."""

import sys

import requests

base = sys.argv[1]
with requests.Session() as session:
    placed = session.post(f"{base}/orders", data=b"a lamp")
    assert (placed.status_code, placed.json()) == (201, {"received": 6}), placed.text
    followed = session.get(f"{base}/redirect")
    assert followed.status_code == 200 and followed.url == f"{base}/orders", (followed.status_code, followed.url)
    assert [answer.status_code for answer in followed.history] == [307], followed.history
    chunked = session.post(f"{base}/orders", data=iter([b"a ", b"lamp"]))
    assert chunked.json() == {"received": 6}, chunked.text
    for number in range(50):
        assert session.get(f"{base}/orders").ok, number
    pools = session.adapters["http://"].poolmanager.pools
    opened = [pools[key].num_connections for key in pools.keys()]
    assert opened == [1], f"connections opened: {opened}"
