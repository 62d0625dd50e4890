"""Versions for a bug report: ``python -m sk_entity_embed``.

Only reads what is installed and imports none of it, so it also answers where an import fails.
"""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Iterator
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from sk_entity_embed import __version__

DISTRIBUTION = "sk-entity-embed"
_REQUIREMENT = re.compile(
    r"""(?P<name>[\w.-]+)(?P<extras>\[.*?\])?.*?(?:extra == ["'](?P<extra>.+?)["'])?$"""
)
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "CUDA_VISIBLE_DEVICES")


def main() -> None:
    """Print system, versions and torch's build as lines that suit a bug report."""
    sections = {
        "System": system(),
        "Required packages": required_packages(),
        "Optional packages": optional_packages(),
    }
    for title, facts in sections.items():
        print(f"{title}:")
        width = max(map(len, facts), default=0)
        for name, fact in facts.items():
            print(f"  {name:<{width}}  {fact}")
        print()


def system() -> dict[str, str]:
    """The package, Python, the platform, and what bounds the number of threads."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        DISTRIBUTION: f"{__version__} in {Path(__file__).parent}",
        "python": f"{sys.version.split()[0]} in {sys.executable}",
        "platform": platform.platform(),
        "cores": f"{cores} of {os.cpu_count()} may be used",
        **{name: os.environ[name] for name in _THREADS if name in os.environ},
    }


def required_packages() -> dict[str, str]:
    """Versions of what the package always needs; of torch also the build."""
    found = {name: _version(name) for name, extra in _requirements() if extra is None}
    if "torch" in found:
        found["torch"] += _cuda_of_torch()
    return found


def optional_packages() -> dict[str, str]:
    """Versions of what the extras bring, each with the extra's name."""
    return {name: f"{_version(name)} ({extra})" for name, extra in _requirements() if extra}


def _requirements() -> Iterator[tuple[str, str | None]]:
    """Names of required packages, each with the extra that asks for it."""
    try:
        lines = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:  # a checkout on the path
        lines = []
    for line in lines:
        if (match := _REQUIREMENT.match(line)) and match["name"] != DISTRIBUTION:
            yield match["name"], match["extra"]


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def _cuda_of_torch() -> str:
    """CUDA or ROCm that torch was built for, as its file of versions says."""
    spec = find_spec("torch")
    if spec is None or spec.origin is None:
        return ""
    try:
        text = (Path(spec.origin).parent / "version.py").read_text()
    except OSError:
        return ""
    builds = re.findall(r"^(cuda|hip)\b.*= '(.+)'", text, re.MULTILINE)
    return f" ({', '.join(f'{kind} {version}' for kind, version in builds) or 'CPU only'})"


if __name__ == "__main__":
    main()
