"""Jobs of the peers that have environments of their own: ``python _speed_peers.py JOB JSON``.

Each library is imported, and has fitted a few rows, before the clock starts.
"""

from __future__ import annotations

import os
import warnings
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import numpy as np
import pandas as pd
from _speed_common import (
    COLUMNS,
    LARGE_BATCH,
    WIDTHS,
    load_table,
    log_loss,
    main,
    measured,
    one_row_ms,
    train_and_test,
)

Result = dict[str, Any]
_WARM_UP = 500  # rows
_EPOCHS = 10  # of peers whose own default is that many


def fit_embedding_encoder(arguments: Result) -> Result:
    """Fit with its own defaults but the batch size, if one is given; test log-loss of its network.

    It goes back to its best epoch by its own validation rows.
    """
    from embedding_encoder import EmbeddingEncoder

    X, X_test, y, y_test = train_and_test(arguments)
    options = {"batch_size": arguments["batch_size"]} if arguments.get("batch_size") else {}

    def fit(X: pd.DataFrame, y: np.ndarray) -> Any:
        return EmbeddingEncoder(task="classification", keep_model=True, **options).fit(X, y)

    fit(X[:_WARM_UP], y[:_WARM_UP])
    found, encoder = measured(lambda: fit(X, y))
    codes = np.asarray(encoder._ordinal_encoder.transform(X_test[COLUMNS]), dtype=np.float32)
    probability = encoder._model.predict(list(codes.T), batch_size=8192, verbose=0)
    return {**found, "log_loss": log_loss(y_test, probability)}


def transform_embedding_encoder(arguments: Result) -> Result:
    """Transform to the widths that all are given."""
    from embedding_encoder import EmbeddingEncoder

    X, y = load_table(arguments["data"])
    train = slice(0, arguments["n_train"])
    encoder = EmbeddingEncoder(
        task="classification", dimensions=WIDTHS, epochs=1, batch_size=LARGE_BATCH
    )
    encoder.fit(X[train], y[train])
    encoder.transform(X[:10])
    found, out = measured(lambda: encoder.transform(X))
    assert out.shape == (len(X), sum(WIDTHS))
    return {**found, "one_row_ms": one_row_ms(encoder.transform, X)}


def fit_skorch(arguments: Result) -> Result:
    """Fit the module a user would write: embeddings of half the categories, 50 at most, and a MLP.

    Ordinal codes are made by scikit-learn within the time measured.
    """
    import torch
    from sklearn.preprocessing import OrdinalEncoder
    from skorch import NeuralNetBinaryClassifier
    from torch import nn

    class Net(nn.Module):
        def __init__(self, sizes: list[int]) -> None:
            super().__init__()
            widths = [min(50, -(-n // 2)) for n in sizes]
            self.tables = nn.ModuleList(
                nn.Embedding(n, w) for n, w in zip(sizes, widths, strict=True)
            )
            layers = [nn.Linear(sum(widths), 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU()]
            self.head = nn.Sequential(*layers, nn.Linear(64, 1))

        def forward(self, codes: torch.Tensor) -> torch.Tensor:
            vectors = [table(codes[:, j]) for j, table in enumerate(self.tables)]
            return self.head(torch.cat(vectors, dim=1)).squeeze(1)

    X, X_test, y, y_test = train_and_test(arguments)
    options = {"handle_unknown": "use_encoded_value", "unknown_value": -1}

    def fit(X: pd.DataFrame, y: np.ndarray) -> Any:
        coder = OrdinalEncoder(**options).fit(X)
        codes = coder.transform(X).astype(np.int64) + 1
        net = NeuralNetBinaryClassifier(
            Net,
            module__sizes=[len(c) + 1 for c in coder.categories_],
            optimizer=torch.optim.Adam,
            lr=1e-3,
            batch_size=LARGE_BATCH,
            max_epochs=_EPOCHS,
            iterator_train__shuffle=True,
            verbose=0,
        )
        return coder, net.fit(codes, y.astype(np.float32))

    fit(X[:_WARM_UP], y[:_WARM_UP])
    found, (coder, net) = measured(lambda: fit(X, y))
    probability = net.predict_proba(coder.transform(X_test).astype(np.int64) + 1)[:, 1]
    return {**found, "log_loss": log_loss(y_test, probability)}


def fit_pytorch_tabular(arguments: Result) -> Result:
    """Fit its category embedding model with its own defaults but batch size and epochs."""
    from pytorch_tabular import TabularModel
    from pytorch_tabular.config import DataConfig, OptimizerConfig, TrainerConfig
    from pytorch_tabular.models import CategoryEmbeddingModelConfig

    X, X_test, y, y_test = train_and_test(arguments)

    def fit(table: pd.DataFrame) -> Any:
        model = TabularModel(
            data_config=DataConfig(target=["late"], categorical_cols=COLUMNS),
            model_config=CategoryEmbeddingModelConfig(task="classification"),
            optimizer_config=OptimizerConfig(),
            trainer_config=TrainerConfig(
                batch_size=LARGE_BATCH,
                max_epochs=_EPOCHS,
                accelerator="cpu",
                checkpoints=None,
                load_best=False,
                progress_bar="none",
            ),
            verbose=False,
        )
        model.fit(train=table, seed=0)
        return model

    table = X.assign(late=y)
    fit(table[:_WARM_UP])
    found, model = measured(lambda: fit(table))
    predicted = model.predict(X_test, progress_bar="none")
    probability = predicted[next(c for c in predicted if c.endswith("1_probability"))]
    return {**found, "log_loss": log_loss(y_test, probability.to_numpy())}


JOBS = {
    "fit_embedding_encoder": fit_embedding_encoder,
    "transform_embedding_encoder": transform_embedding_encoder,
    "fit_skorch": fit_skorch,
    "fit_pytorch_tabular": fit_pytorch_tabular,
}

if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        main(JOBS)
