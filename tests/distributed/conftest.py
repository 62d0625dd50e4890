"""A Ray cluster of two processors on this machine, for all tests here."""

from __future__ import annotations

import logging
import os
import warnings

import pytest


@pytest.fixture(scope="package")
def ray():
    pytest.importorskip("ray")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Ray and what it imports
        os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.2")  # reports wait for it
        import ray
        import ray.data
        import ray.train.torch

        ray.init(
            num_cpus=2,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            object_store_memory=200 * 2**20,
        )
        ray.data.DataContext.get_current().enable_progress_bars = False
        yield ray
        ray.shutdown()
