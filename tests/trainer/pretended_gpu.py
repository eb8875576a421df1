"""A GPU that is not there: tensors say that they live on it, and computing with those of both places is refused.

Everything is computed on the CPU, for real. What is pretended is the place: `to`, `cpu` and `device=` move tensors
between "cpu" and "cuda:0", results live where their inputs do, and what CUDA would refuse is refused: operands of both
places (a number without dimensions may come from the CPU), indices on the GPU into a tensor on the CPU, and NumPy's
view of a tensor on the GPU. It knows nothing of memory, speed, kernels that are missing, or rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakTensorKeyDictionary

GPU, CPU = torch.device("cuda", 0), torch.device("cpu")
_INDEXED = {"__getitem__", "__setitem__"}
_ANYWHERE = {"copy_", "__set__", "_has_compatible_shallow_copy_type"}
_SET_DATA: Any = vars(torch._C.TensorBase)["data"].__set__
_INTO_NUMPY = {"numpy", "__array__"}


class WrongPlaceError(Exception):
    """What PyTorch would have refused."""


class PretendedGpu(TorchFunctionMode):
    """While it is entered, `torch.device("cuda")` is a place where tensors can live."""

    def __init__(self) -> None:
        super().__init__()
        self._there: Any = WeakTensorKeyDictionary()
        self.operations = 0

    def place(self, tensor: Tensor) -> torch.device:
        """Return where a tensor says it lives."""
        return GPU if tensor in self._there else CPU

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Compute one operation, or refuse it."""
        kwargs = dict(kwargs or {})
        name = getattr(func, "__name__", "")
        if func == torch.Tensor.device.__get__:
            return GPU if args[0] in self._there else func(*args)
        if name in ("to", "cpu", "cuda") and args and isinstance(args[0], Tensor):
            return self._moved(name, args, kwargs)
        wanted = kwargs.get("device")
        wanted = torch.device(wanted) if isinstance(wanted, str) else wanted
        if wanted is not None and wanted.type == "cuda":
            kwargs["device"] = CPU
        self._check(name, args, kwargs)
        inputs = self._tensors((args, kwargs))
        there = any(self.place(one) == GPU for one in inputs)
        self.operations += there
        found = func(*args, **kwargs)
        if func == _SET_DATA:
            self._put(args[0], self.place(args[1]))
        place = wanted if wanted is not None else (GPU if there else CPU)
        for one in self._tensors(found):
            if wanted is not None or not any(one is held for held in inputs):
                self._put(one, GPU if place.type == "cuda" else CPU)
        return found

    def _put(self, tensor: Tensor, place: torch.device) -> None:
        if place == GPU:
            self._there[tensor] = True
        elif tensor in self._there:
            del self._there[tensor]

    def _moved(self, name: str, args: Any, kwargs: dict[str, Any]) -> Tensor:
        tensor, rest = args[0], list(args[1:])
        if any(isinstance(one, (torch.device, str)) and torch.device(one).type == "meta" for one in rest):
            elsewhere: Tensor = tensor.to(*rest, **kwargs)
            return elsewhere
        place = {"to": None, "cpu": CPU, "cuda": GPU}[name]
        if name == "to":
            given = kwargs.pop("device", None)
            other = next((one for one in rest if isinstance(one, Tensor)), None)
            asked = [one for one in rest if isinstance(one, (torch.device, str))]
            rest = [one for one in rest if not isinstance(one, (torch.device, str, Tensor)) and one is not None]
            if other is not None:
                place, kwargs["dtype"] = self.place(other), other.dtype
            elif given is not None or asked:
                place = torch.device(given if given is not None else asked[0])
        else:
            rest, kwargs = [], {}
        place = self.place(tensor) if place is None else (GPU if place.type == "cuda" else CPU)
        rest = [one for one in rest if not isinstance(one, bool)]
        kwargs.pop("non_blocking", None)
        found: Tensor = tensor.to(*rest, **kwargs) if rest or kwargs else tensor
        if found is tensor and place != self.place(tensor):
            found = tensor.clone()
        self._put(found, place)
        return found

    def _check(self, name: str, args: Any, kwargs: dict[str, Any]) -> None:
        if name in _ANYWHERE:
            return
        if name in _INTO_NUMPY and self.place(args[0]) == GPU:
            raise WrongPlaceError(f"{name} of a tensor on {GPU}")
        if name in _INDEXED:
            self._check_index(name, args)
            return
        places = {str(self.place(one)) for one in self._tensors((args, kwargs)) if one.ndim or self.place(one) == GPU}
        if len(places) > 1:
            raise WrongPlaceError(f"{name} of tensors on {' and '.join(sorted(places))}")

    def _check_index(self, name: str, args: Any) -> None:
        own, indices = self.place(args[0]), self._tensors(args[1])
        if own == CPU and any(self.place(one) == GPU for one in indices):
            raise WrongPlaceError(f"{name}: a tensor on the CPU by indices on {GPU}")
        value = args[2] if name == "__setitem__" else None
        if indices and isinstance(value, Tensor) and value.ndim and self.place(value) != own:
            raise WrongPlaceError(f"{name}: values on {self.place(value)} into a tensor on {own}")

    def _tensors(self, tree: Any) -> list[Tensor]:
        if isinstance(tree, Tensor):
            return [tree]
        if isinstance(tree, dict):
            tree = tree.values()
        elif not isinstance(tree, (list, tuple)):
            return []
        return [found for branch in tree for found in self._tensors(branch)]


@contextmanager
def pretended_gpu(replace: Callable[[Any, str, Any], None]) -> Iterator[PretendedGpu]:
    """Have the trainer train on a GPU that is not there; `replace` is `monkeypatch.setattr`."""
    import sys

    from headway_trainer.learning import distributed

    real = distributed.device
    for name, module in list(sys.modules.items()):
        if name.startswith("headway_trainer") and getattr(module, "device", None) is real:
            replace(module, "device", lambda: GPU)
    with PretendedGpu() as mode:
        yield mode
