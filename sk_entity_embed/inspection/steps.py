"""Embedding steps of pipelines, by name."""

from __future__ import annotations

from typing import Any

from sk_entity_embed._steps import find_steps


def embedding_steps(estimator: Any) -> dict[str, Any]:
    """Return the fitted estimators of this package inside a pipeline.

    Parameters
    ----------
    estimator : estimator
        A fitted pipeline, column transformer, feature union, search or other meta-estimator of
        scikit-learn. They can be nested.

    Returns
    -------
    dict of estimator
        The estimators by name. Names are written like scikit-learn's nested parameters, such as
        ``"preprocess__cities"``. Nothing is copied. If `estimator` itself is one of this package,
        it is the only entry, with the name of its class in lower case.

    Raises
    ------
    InvalidParameterError
        If there is no estimator of this package inside.
    sklearn.exceptions.NotFittedError
        If none of them is fitted.

    See Also
    --------
    nearest : Takes a pipeline as it is if it has one such step, like all functions here.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from sklearn.compose import make_column_transformer
    >>> from sklearn.linear_model import Ridge
    >>> from sklearn.pipeline import make_pipeline
    >>> from sk_entity_embed import EntityEmbeddingEncoder
    >>> from sk_entity_embed.inspection import embedding_steps, nearest
    >>> rng = np.random.default_rng(0)
    >>> X = pd.DataFrame({"city": rng.choice(["Lima", "Oslo"], 99), "tag": rng.choice(["a"], 99)})
    >>> encoder = EntityEmbeddingEncoder(max_iter=1, random_state=0)
    >>> columns = make_column_transformer((encoder, ["city"]), (encoder, ["tag"]))
    >>> pipeline = make_pipeline(columns, Ridge()).fit(X, rng.random(99))
    >>> steps = embedding_steps(pipeline)
    >>> list(steps)
    ['columntransformer__entityembeddingencoder-1', 'columntransformer__entityembeddingencoder-2']
    >>> first = steps["columntransformer__entityembeddingencoder-1"]
    >>> nearest(first, "city", "Oslo")[["category", "count"]]
      category  count
    0     Lima     44
    """
    return {step.name: step.estimator for step in find_steps(estimator)}
