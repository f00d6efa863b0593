"""Let many annotators work on several servers at once while servers are killed, and check that nothing is lost."""

from __future__ import annotations

import argparse
import json
import os
import threading
import time
from pathlib import Path
from typing import Any

from .annotator import Annotator, Log, Work
from .deployment import Deployment, deployed
from .outcome import failures, figures, lent_twice, losses

SHARED = 12
"""Images that annotators save again and again."""
STRATEGY = "first"
UNREASONED = ("500 ", "502 ", "504 ", "507 ")
"""Begin of an answer that gives no reason which a retry could mend."""


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=50, help="annotators at once (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=300, help="for which they work (default: %(default)s)")
    parser.add_argument("--servers", type=int, default=2, help="number of servers (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="processes of each (default: %(default)s)")
    parser.add_argument("--images", type=int, default=600, help="in the studies folder (default: %(default)s)")
    parser.add_argument("--pause", type=float, default=4.0, help="mean pause of a person in s (default: %(default)s)")
    parser.add_argument("--kill-every", type=float, default=30, help="s between two SIGKILLs; 0 for none (default: 30)")
    parser.add_argument("--output", type=Path, help="JSON file for the figures")
    return parser.parse_args(arguments)


def run_load(deployment: Deployment, clients: int, seconds: float, pause_s: float, kill_every_s: float) -> list[Log]:
    """Let annotators work for a while, and return what each has seen."""
    stop = threading.Event()
    images = deployment.folder.images
    work = Work(deployment.addresses, STRATEGY, images[-SHARED:], deployment.folder.points, pause_s)
    annotators = [Annotator(work, number, stop) for number in range(clients)]
    killer = threading.Thread(target=deployment.servers.kill_in_turn, args=(kill_every_s, stop), daemon=True)
    for thread in annotators:
        thread.start()
    if kill_every_s:
        killer.start()
    stop.wait(seconds)
    stop.set()
    for thread in annotators:
        thread.join(300)
    if kill_every_s:
        killer.join(150)
    return [thread.log for thread in annotators]


def main(arguments: list[str] | None = None) -> int:
    """Run the command; the exit status is 1 where something was lost or failed without a reason."""
    chosen = parse_arguments(arguments)
    with deployed(chosen.images, chosen.servers, chosen.workers) as deployment:
        load, cpu = os.getloadavg()[0], deployment.servers.cpu_s()
        begin = time.monotonic()
        logs = run_load(deployment, chosen.clients, chosen.seconds, chosen.pause, chosen.kill_every)
        seconds = time.monotonic() - begin
        found = summary(deployment, logs, seconds, deployment.servers.cpu_s() - cpu)
        found["load_before"], found["load_after"] = load, os.getloadavg()[0]
    text = json.dumps(found, indent=1)
    print(text)
    if chosen.output:
        chosen.output.write_text(text + "\n")
    return 1 if found["losses"] or found["lent_twice"] or found["unreasoned"] or found["given_up"] else 0


def summary(deployment: Deployment, logs: list[Log], seconds: float, cpu_s: float) -> dict[str, Any]:
    """Everything that is reported."""
    samples = [sample for log in logs for sample in log.samples]
    failed = failures(samples)
    return {
        "seconds": round(seconds, 1),
        "requests": len(samples),
        "requests_per_s": round(len(samples) / seconds, 1),
        "server_cpu_s": round(cpu_s, 1),
        "server_cpu_ms_per_request": round(1000 * cpu_s / max(1, len(samples)), 1),
        "kills": deployment.servers.kills,
        "acknowledged_labels": sum(len(log.saved) for log in logs),
        "losses": losses(deployment.folder.path, deployment.database, logs),
        "lent": sum(len(log.lent) for log in logs),
        "lent_twice": lent_twice(logs),
        "given_up": [sentence for log in logs for sentence in log.given_up],
        "unreasoned": {reason: count for reason, count in failed.items() if reason.startswith(UNREASONED)},
        "failures": dict(failed.most_common(20)),
        "by_kind": figures(samples),
    }
