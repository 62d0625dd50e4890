"""Fits of flights on a Ray cluster of one machine: quality, seconds, bytes a step, killed workers.

python -m benchmarks._scale_cluster            # two workers against one process
python -m benchmarks._scale_cluster kills      # workers killed at five random moments
python -m benchmarks._scale_cluster hosts      # two hosts in network namespaces, as root
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.metrics import roc_auc_score

from sk_entity_embed import EntityEmbeddingClassifier
from sk_entity_embed.datasets import load_flights
from sk_entity_embed.learning.problem import parts_of_pass

N_FILES = 8
HOSTS = ("see-head", "see-worker")
WIRE = ("see0", "see1")
"""Names of the network namespaces, and of the ends of the wire between them."""


def write_flights(folder: Path, n_rows: int | None = None) -> tuple[Any, Any]:
    """Write four fifths of the flights, drawn at random, to Parquet files; return the others."""
    X, y = load_flights(n_rows, random_state=0)
    places = np.random.default_rng(0).permutation(len(X))
    train, test = np.split(places, [len(X) * 4 // 5])
    for i, part in enumerate(np.array_split(train, N_FILES)):
        table = pa.Table.from_pandas(X.iloc[part].assign(late=y.iloc[part]), preserve_index=False)
        pq.write_table(table, folder / f"{i}.parquet")
    return X.iloc[test], y.iloc[test]


def start_ray(n_cpus: int = 2) -> Any:
    """Start Ray on this machine."""
    import ray

    os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.2")
    ray.init(num_cpus=n_cpus, include_dashboard=False, log_to_driver=False, logging_level=40)
    return ray


def fit_on_cluster(folder: Path, seed: int, **how: Any) -> tuple[Any, dict[str, float]]:
    """Fit by workers; return the model, and what it took."""
    from sk_entity_embed.distributed import fit, fitting

    told: dict[str, float] = {}
    train = fitting.train

    def watched(ray: Any, job: Any, cluster: Any) -> Any:
        begun = time.perf_counter()
        outcome = train(ray, job, cluster)
        parts = parts_of_pass(job.shards.n_samples)
        n_steps = -(-(job.shards.n_samples // parts) // job.config.batch_size)
        n_steps *= len(outcome.result.loss_curve)
        numbers = sum(table.size for table in job.tables)
        told.update(
            train_s=time.perf_counter() - begun,
            n_steps=n_steps,
            rows_a_step=job.config.batch_size,
            bytes_a_step=outcome.n_bytes / n_steps,
            table_bytes=4 * numbers,
        )
        return outcome

    fitting.train = watched
    try:
        begun = time.perf_counter()
        model = EntityEmbeddingClassifier(random_state=seed)
        fit(model, folder, y="late", **how)
        told["fit_s"] = time.perf_counter() - begun
    finally:
        fitting.train = train
    return model, told


def compare(n_seeds: int = 2, n_rows: int | None = None) -> list[dict[str, Any]]:
    """Two workers and one process on the same flights."""
    found = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        X, y = write_flights(folder, n_rows)
        rows = pq.read_table(folder).to_pandas()
        for seed in range(n_seeds):
            begun = time.perf_counter()
            alone = EntityEmbeddingClassifier(random_state=seed)
            alone.fit(rows[X.columns], rows["late"])
            found.append({"workers": 0, "seed": seed, "fit_s": time.perf_counter() - begun})
            found[-1] |= {"auc": auc(alone, X, y), "n_iter": alone.n_iter_}
            print(json.dumps(found[-1]), file=sys.stderr, flush=True)
        ray = start_ray()
        for seed in range(n_seeds):
            model, told = fit_on_cluster(folder, seed, num_workers=2)
            found.append({"workers": 2, "seed": seed, **told})
            found[-1] |= {"auc": auc(model, X, y), "n_iter": model.n_iter_}
            print(json.dumps(found[-1]), file=sys.stderr, flush=True)
        ray.shutdown()
    return found


def auc(model: Any, X: Any, y: Any) -> float:
    """Area under the ROC curve of new flights."""
    return float(roc_auc_score(y, model.predict_proba(X)[:, 1]))


def kill(n_times: int = 5, n_rows: int = 60_000, seed: int = 0) -> list[dict[str, Any]]:
    """Kill a worker at random moments of fits, which all have to end in the same model."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from tests.distributed.killing import Killer

    ray = start_ray()
    rng, found = np.random.default_rng(seed), []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "rows").mkdir()
        X, y = write_flights(folder / "rows", n_rows)
        expected, told = fit_on_cluster(folder / "rows", 0, num_workers=2)
        print(json.dumps({"undisturbed": auc(expected, X, y), **told}), file=sys.stderr, flush=True)
        for i in range(n_times):
            storage = folder / f"storage-{i}"
            storage.mkdir()
            delay = float(rng.uniform(0.0, 0.8 * told["train_s"]))
            with Killer(storage, n_checkpoints=0, delay=delay) as killer:
                model, again = fit_on_cluster(
                    folder / "rows", 0, num_workers=2, storage_path=storage, checkpoint_interval=1.0
                )
            same = bool((model.predict_proba(X) == expected.predict_proba(X)).all())
            found.append({"delay": delay, "killed": killer.killed, "same": same, **again})
            print(json.dumps(found[-1]), file=sys.stderr, flush=True)
    ray.shutdown()
    return found


@contextmanager
def namespaces() -> Iterator[tuple[str, str]]:
    """Two hosts with a wire between them; yields their addresses."""
    addresses = "10.77.0.1", "10.77.0.2"
    try:
        for host in HOSTS:
            _run("ip", "netns", "add", host)
            _run("ip", "-n", host, "link", "set", "lo", "up")
        _run("ip", "link", "add", WIRE[0], "type", "veth", "peer", "name", WIRE[1])
        for host, end, address in zip(HOSTS, WIRE, addresses, strict=True):
            _run("ip", "link", "set", end, "netns", host)
            _run("ip", "-n", host, "addr", "add", f"{address}/24", "dev", end)
            _run("ip", "-n", host, "link", "set", end, "up")
        yield addresses
    finally:
        for host in HOSTS:
            subprocess.run(["ip", "netns", "del", host], check=False)


def _run(*command: str) -> None:
    subprocess.run(command, check=True)


def on_two_hosts(n_rows: int = 60_000) -> None:
    """Fit with a worker on each of two hosts that see each other through a wire alone."""
    bin_folder = Path(sys.executable).parent
    started = []
    with tempfile.TemporaryDirectory() as name, namespaces() as (head, worker):
        folder = Path(name)
        (folder / "rows").mkdir()
        (folder / "storage").mkdir()
        write_flights(folder / "rows", n_rows)
        common = ["--num-cpus=1", "--block", "--object-store-memory=200000000"]
        commands = (
            ["--head", f"--node-ip-address={head}", "--port=6379", "--include-dashboard=false"],
            [f"--address={head}:6379", f"--node-ip-address={worker}"],
        )
        # A token of this cluster's own, which its hosts and the driver share.
        shared = {**os.environ, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        try:
            for host, wire, how, temp in zip(HOSTS, WIRE, commands, ("a", "b"), strict=True):
                own = [f"--temp-dir={folder / temp}"] if temp == "a" else []
                line = [str(bin_folder / "ray"), "start", *how, *common, *own]
                line = ["ip", "netns", "exec", host, *line]
                # Gloo would look for the address of the host's name, which both of them have.
                own_wire = {**shared, "GLOO_SOCKET_IFNAME": wire}
                started.append(subprocess.Popen(line, stdout=subprocess.DEVNULL, env=own_wire))
                time.sleep(10)
            given = json.dumps({"folder": str(folder)})
            line = [sys.executable, os.path.abspath(__file__), "driver", given]
            address = {**shared, "RAY_ADDRESS": f"{head}:6379"}
            address["RAY_TRAIN_HEALTH_CHECK_INTERVAL_S"] = "0.2"
            subprocess.run(["ip", "netns", "exec", HOSTS[0], *line], env=address, check=True)
        finally:
            for process in reversed(started):
                process.terminate()
                process.wait(30)


def drive(folder: Path) -> None:
    """Do the driver's part on the first host."""
    import ray

    ray.init()
    nodes = [node["NodeManagerAddress"] for node in ray.nodes() if node["Alive"]]
    sent = _bytes_sent()
    X, y = load_flights(20_000, random_state=1)
    model, told = fit_on_cluster(folder / "rows", 0, num_workers=2, storage_path=folder / "storage")
    told["bytes_on_the_wire"] = _bytes_sent() - sent
    print(
        json.dumps({"hosts": nodes, "auc_mostly_seen": auc(model, X, y), **told}),
        file=sys.stderr,
        flush=True,
    )


def _bytes_sent() -> int:
    """Return the bytes that have left this host through its wire."""
    for line in Path("/proc/net/dev").read_text().splitlines():
        name, _, numbers = line.partition(":")
        if name.strip().startswith("see"):
            return int(numbers.split()[8])
    return 0


def main() -> None:
    """Run one of the parts, and print what it found as JSON."""
    what = sys.argv[1] if len(sys.argv) > 1 else "compare"
    given = json.loads(sys.argv[2]) if len(sys.argv) > 2 else {}
    parts = {
        "compare": lambda: compare(**given),
        "kills": lambda: kill(**given),
        "hosts": lambda: on_two_hosts(**given),
        "driver": lambda: drive(Path(given["folder"])),
    }
    found = parts[what]()
    print("\n" + json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
