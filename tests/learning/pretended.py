"""A GPU that is none: tensors on the CPU that are taken for a GPU's, and what it would refuse.

Within :func:`pretended_gpu` fits with ``device="cuda"`` run without a GPU. Numbers are computed on
the CPU, so results are those of the CPU to the last bit. What a GPU would refuse raises as it would
there: operations on tensors of both sides, a generator of the other side, a GPU's memory as NumPy.
It also lists what makes the processor wait for the GPU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

from sk_entity_embed.learning import learn

GPU = torch.device("cuda", 0)

_BETWEEN = {"copy_", "_to_copy", "index", "index_put_", "_index_put_impl_"}
"""Operations that take tensors of both sides; of indices, those on the CPU are moved."""
_WAITING = {
    *("_local_scalar_dense", "nonzero", "masked_select", "bincount", "equal"),
    *("_unique2", "unique_dim", "unique_consecutive"),
}
"""Operations whose result, or its size, the processor has to know."""


class _Generator(torch.Generator):
    """A generator of the CPU that says that it is the GPU's."""

    def __new__(cls, device: Any = "cpu") -> torch.Generator:
        on_gpu = torch.device(device).type == "cuda"
        return super().__new__(cls if on_gpu else cls.__base__)

    @property
    def device(self) -> torch.device:
        return GPU


class Pretended:
    """Which memory is taken for the GPU's, and what has waited for it so far."""

    def __init__(self) -> None:
        self.waits: list[str] = []
        # As long as there is a weak reference nothing else takes the address.
        self._on_gpu: dict[int, tuple[bool, StorageWeakRef]] = {}

    def holds(self, tensor: Tensor) -> bool:
        """True if a tensor is taken for one of the GPU."""
        return self._on_gpu.get(tensor.untyped_storage()._cdata, (False, None))[0]

    def place(self, tensor: Tensor, on_gpu: bool) -> Tensor:
        """Take a tensor for one of the GPU, or of the CPU."""
        storage = tensor.untyped_storage()
        self._on_gpu[storage._cdata] = on_gpu, StorageWeakRef(storage)
        return tensor

    def moved(self, tensor: Tensor, on_gpu: bool) -> Tensor:
        """Return a tensor on the other side, copied if it is not there."""
        if self.holds(tensor) == on_gpu:
            return tensor
        self.waits.append("copy")
        return self.place(tensor.clone(), on_gpu)


class _Calls(TorchFunctionMode):
    """Calls of torch's functions and methods: devices asked for and given, and copies."""

    def __init__(self, pretended: Pretended) -> None:
        super().__init__()
        self.pretended = pretended

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs, here = dict(kwargs or {}), self.pretended
        if func == torch.Tensor.device.__get__:  # type: ignore[attr-defined]
            return GPU if here.holds(args[0]) else func(*args)
        if func is torch.Tensor.cpu:
            return here.moved(args[0], on_gpu=False)
        if func is torch.Tensor.numpy and here.holds(args[0]):
            raise TypeError("can't convert a tensor of the GPU to numpy; copy it with .cpu() first")
        if func is torch.Tensor.tolist and here.holds(args[0]):
            here.waits.append("tolist")
        if func is torch.Tensor.to:
            args, kwargs["device"] = _without_device(args, kwargs.get("device"))
        device = kwargs.pop("device", None)
        self._check_generator(kwargs.get("generator"), device, args)
        if device is None:
            return func(*args, **kwargs)
        on_gpu = torch.device(device).type == "cuda"
        if func is torch.Tensor.to:
            return here.moved(func(*args, **kwargs) if args[1:] or kwargs else args[0], on_gpu)
        result = func(*args, **kwargs)
        if func in (torch.as_tensor, torch.tensor):  # of NumPy's memory, or of a list
            known = args and isinstance(args[0], Tensor) and here.holds(args[0])
            return here.moved(here.place(result, bool(known)), on_gpu)
        return here.place(result, on_gpu)

    def _check_generator(self, generator: Any, device: Any, args: tuple[Any, ...]) -> None:
        if generator is None:
            return
        if device is None:
            on_gpu = any(self.pretended.holds(a) for a in args if isinstance(a, Tensor))
        else:
            on_gpu = torch.device(device).type == "cuda"
        if on_gpu != isinstance(generator, _Generator):
            raise RuntimeError("the generator is not on the device of the tensor")


def _without_device(args: tuple[Any, ...], given: Any) -> tuple[tuple[Any, ...], Any]:
    """Split the arguments of ``Tensor.to`` into those that are no device, and the device."""
    for i, argument in enumerate(args[1:], start=1):
        if isinstance(argument, str | torch.device):
            return args[:i] + args[i + 1 :], argument
    return args, given


class _Operations(TorchDispatchMode):
    """Single operations, those of autograd among them: where their tensors are."""

    def __init__(self, pretended: Pretended) -> None:
        super().__init__()
        self.pretended = pretended

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs, here, name = kwargs or {}, self.pretended, func.overloadpacket.__name__
        with torch._C.DisableTorchFunction():
            given = [a for a in tree_leaves((args, kwargs)) if isinstance(a, Tensor)]
            on_gpu = [here.holds(t) for t in given]
            strangers = [t for t, there in zip(given, on_gpu, strict=True) if not there and t.ndim]
            if any(on_gpu) and strangers and name not in _BETWEEN:
                raise RuntimeError(f"Expected all tensors of {name} to be on the same device")
            if any(on_gpu) and self._waits(name, given, strangers, kwargs):
                here.waits.append(name)
            known = {t.untyped_storage()._cdata for t in given}
            result = func(*args, **kwargs)

            def place(tensor: Tensor) -> Tensor:
                if tensor.untyped_storage()._cdata not in known:
                    here.place(tensor, any(on_gpu))
                return tensor

            return tree_map_only(Tensor, place, result)

    @staticmethod
    def _waits(name: str, given: list[Tensor], strangers: list[Tensor], kwargs: Any) -> bool:
        if name == "repeat_interleave":
            return kwargs.get("output_size") is None
        if name in _BETWEEN:
            masks = name != "copy_" and any(t.dtype == torch.bool for t in given[1:])
            return bool(strangers) or masks
        return name in _WAITING


@contextmanager
def pretended_gpu() -> Iterator[Pretended]:
    """Let fits with ``device="cuda"`` run on a GPU that is none."""
    pretended, device = Pretended(), learn._device

    def pretended_device(name: str) -> torch.device:
        return GPU if name == "cuda" else device(name)

    with ExitStack() as stack:
        stack.enter_context(patch.object(learn, "_device", pretended_device))
        stack.enter_context(patch.object(torch, "Generator", _Generator))
        stack.enter_context(_Operations(pretended))
        stack.enter_context(_Calls(pretended))
        yield pretended


def on_a_pretended_gpu(job: Callable[[], Any]) -> tuple[Any, list[str]]:
    """Return a job's result, and what made the processor wait."""
    with pretended_gpu() as pretended:
        return job(), pretended.waits
