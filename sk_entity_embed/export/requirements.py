"""What a process needs that serves fitted estimators: no torch."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from sk_entity_embed.exceptions import InvalidParameterError
from sk_entity_embed.input.messages import shown

__all__ = ["serving_requirements"]

_SERVING = (
    *("filelock", "narwhals", "numpy", "pandas", "pyarrow", "safetensors", "scikit-learn", "tqdm"),
)
"""All requirements of the package but those that learn and compare."""


def serving_requirements(*others: str) -> list[str]:
    """Return the packages that serving a fitted estimator needs, with their versions here.

    They are all that ``transform``, ``transform_batches``, ``predict`` and
    :func:`sk_entity_embed.export.load` import. Training also needs torch, which is larger than all
    of them together. This package itself is not in the list: its own requirements name torch, so
    that a plain ``pip install`` would bring it. Install it with ``--no-deps``, or ship its folder
    with the model.

    Parameters
    ----------
    *others : str
        Names of further installed packages to list, such as ``"skops"``.

    Returns
    -------
    list of str
        Lines for ``pip install -r``, such as ``"numpy==2.4.0"``.

    Raises
    ------
    InvalidParameterError
        If one of `others` is not the name of an installed package.

    See Also
    --------
    sk_entity_embed.export.SKOPS_TYPES : The types to trust when the model is loaded by skops.

    Examples
    --------
    >>> from sk_entity_embed.export import serving_requirements
    >>> [line.split("==")[0] for line in serving_requirements("joblib")]
    ['filelock', 'narwhals', 'numpy', 'pandas', 'pyarrow', 'safetensors', 'scikit-learn', 'tqdm',
     'joblib']
    """
    lines = []
    for name in dict.fromkeys([*_SERVING, *others]):
        try:
            lines.append(f"{name}=={version(name)}")
        except (PackageNotFoundError, TypeError, ValueError) as error:
            raise InvalidParameterError(
                f"`others` must be names of installed packages, got {shown(name)}."
            ) from error
    return lines
