"""Fits in a forked process, where torch's threads are gone."""

from __future__ import annotations

import subprocess
import sys
from textwrap import dedent

import pytest

SCRIPT = """
    import os, signal, time
    import numpy as np, pandas as pd, torch
    from sk_entity_embed import EntityEmbeddingRegressor
    from sk_entity_embed.input.threads import is_forked
    from sk_entity_embed.learning import learn

    torch.set_num_threads(4)
    assert torch.isfinite(torch.zeros(10**6)).all()  # starts torch's threads
    assert not is_forked()
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"a": rng.permutation(5000).astype(str), "b": rng.choice(list("pq"), 5000)})
    y = rng.normal(size=5000)

    def fit_all():
        results = []
        for products, head in ((10**9, "mlp"), (10**9, "dot"), (1, "mlp")):
            learn._SHARED_PRODUCTS = products  # 1: each half of a step on two threads
            model = EntityEmbeddingRegressor(head=head, max_iter=1, random_state=0)
            results.append(model.fit(X, y).predict(X[:100]))
        return np.array(results)

    expected = fit_all()
    child = os.fork()
    if child == 0:
        os._exit(0 if is_forked() and np.allclose(fit_all(), expected, rtol=1e-3) else 1)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            print("ended with", os.waitstatus_to_exitcode(status))
            break
        time.sleep(0.05)
    else:
        os.kill(child, signal.SIGKILL)
        print("hung")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="forks as Linux does")
def test_a_forked_process_can_fit_after_its_parent() -> None:
    command = [sys.executable, "-c", dedent(SCRIPT)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert ended.stdout.strip() == "ended with 0", ended.stdout + ended.stderr
