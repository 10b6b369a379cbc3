"""Compares the gateway with nginx, Envoy and a bare hyper proxy.

    scripts/bench-gateway                 installs the tools, builds the programs, and runs all parts
    python3 benches/gateway/run.py        prints the cost of a call as Markdown tables
    python3 benches/gateway/run.py --revocations    prints the calls that fail when tokens are revoked
    python3 benches/gateway/run.py --availability   prints the memory under slow readers, the calls that are lost when the upstream ends connections, and the
                                                    refusals that arrive

Everything runs on loopback, and each peer has one worker. The peers are measured in turn (A B C A B C …), so that a drift in the machine's speed affects all
of them equally.
"""

import argparse
import sys

from availability import availability
from cost import cost
from programs import PEERS, Failed
from revocations import revocations


def main():
    parser = argparse.ArgumentParser(description="Measures the cost of a call through the gateway, nginx, Envoy and a bare hyper proxy.")
    parser.add_argument("--revocations", action="store_true", help="run the second part: count the calls that fail when tokens are revoked")
    parser.add_argument("--availability", action="store_true", help="run the third part: slow readers, an upstream that ends connections, refusals of large bodies")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4, help="duration of each measurement")
    parser.add_argument("--warm-up", type=int, default=2, metavar="SECONDS")
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 32])
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=PEERS)
    parser.add_argument("--pids", action="store_true", help="print the ids of the measured processes, to inspect them")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--calls", type=int, default=200, help="calls per second of all clients together")
    parser.add_argument("--for-seconds", type=int, default=12)
    parser.add_argument("--revoke-every", type=int, default=3, metavar="SECONDS")
    parser.add_argument("--lost-seconds", type=int, default=20, metavar="SECONDS", help="duration of the calls over an upstream that ends connections")
    options = parser.parse_args()
    part = availability if options.availability else revocations if options.revocations else cost
    try:
        part(options)
    except Failed as failure:
        sys.exit(f"run.py: {failure}")


if __name__ == "__main__":
    main()
