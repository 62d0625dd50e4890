"""The cluster: Ray itself, its machines, tasks in a tree, and errors as they were raised."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sk_entity_embed.exceptions import EntityEmbedError, InvalidParameterError

_EACH = 8
"""Results that a task merges."""


def import_ray(what: str) -> Any:
    """Return Ray, connected to the cluster there is, or to a new one on this machine."""
    try:
        import ray
        import ray.data
        import ray.train.torch
    except ImportError as error:
        raise ImportError(
            f"{what} needs Ray: pip install 'sk-entity-embed[distributed]'."
        ) from error
    if not ray.is_initialized():
        ray.init()
    return ray


def check_machines(ray: Any, version: str) -> int:
    """Refuse machines of the cluster that lack this version of the package; return how many."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    def find() -> tuple[str, str]:  # sent as code, for a machine may lack the package
        try:
            import sk_entity_embed
        except ImportError as error:
            return "", repr(error)
        return sk_entity_embed.__version__, ""

    nodes = [n for n in ray.nodes() if n["Alive"] and n["Resources"].get("CPU", 0) > 0]
    task = ray.remote(num_cpus=0)(find)
    asked = [
        task.options(
            scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        ).remote()
        for node in nodes
    ]
    for node, (found, error) in zip(nodes, ray.get(asked), strict=True):
        if found != version:
            has = f"has version {found}" if found else f"cannot import it ({error})"
            raise InvalidParameterError(
                f"This process has sk_entity_embed {version}, but machine "
                f"{node['NodeManagerHostname']!r} of the cluster {has}. Install the same version "
                "on all machines, or let Ray do it: "
                f"ray.init(runtime_env={{'pip': ['sk-entity-embed=={version}']}})."
            )
    return len(nodes)


def merged(ray: Any, merge: Callable[..., Any], found: Sequence[Any]) -> Any:
    """Return results of tasks merged to one, in their order, by further tasks."""
    task = ray.remote(merge)
    while len(found) > 1:
        found = [task.remote(*found[i : i + _EACH]) for i in range(0, len(found), _EACH)]
    return get(ray, found[0])


def get(ray: Any, references: Any) -> Any:
    """Return what tasks found; an error of this package, or of files, is raised as it was."""
    try:
        return ray.get(references)
    except ray.exceptions.RayTaskError as error:
        cause = error.cause
        if isinstance(cause, EntityEmbedError | OSError):
            raise cause from None
        raise


_held: dict[bytes, Any] = {}
"""What this process has got last by reference."""


def held(references: Sequence[Any]) -> Any:
    """Return what a reference stands for; tasks that run in one process make it once.

    It comes in a list, for Ray would make it anew for each task.
    """
    import ray

    (reference,) = references
    key = reference.binary()
    if key not in _held:
        _held.clear()
        _held[key] = ray.get(reference)
    return _held[key]
