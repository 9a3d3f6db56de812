"""One convolution for answering, whose kernel is laid out once, as the processor reads it.

`F.conv2d` lays the kernel out anew at every call, which costs a lone picture as much as the
arithmetic. oneDNN's operations, which torch's compiler emits, take a kernel that lies right, and
add and clip in the same pass. Calling them saves the compiler, which a server may lack and a start
cannot wait for. They are no public part of torch: where they are missing, `F.conv2d` does the same.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def can_lay_out() -> bool:
    """True where this torch and processor have oneDNN's operations."""
    return (
        torch.backends.mkldnn.is_available()
        and torch.backends.cpu.get_cpu_capability().startswith("AVX")
        and hasattr(torch.ops.mkldnn, "_convolution_pointwise")
        and hasattr(torch.ops.mkldnn, "_reorder_convolution_weight")
    )


class Convolution:
    """A convolution with what follows it in a residual block."""

    def __init__(self, kernel: Tensor, shift: Tensor, stride: int, padding: int, side: int) -> None:
        """
        Args:
            kernel: `(outputs, inputs, height, width)` float32.
            shift: `(outputs,)` float32, added to every map.
            side: of the maps it will be given, in pixels; other sides work, more slowly.
        """
        self._geometry = [padding] * 2, [stride] * 2, [1, 1], 1
        self._shift = shift
        self._laid_out = can_lay_out()
        if self._laid_out:
            plain = kernel.contiguous()
            expected = [1, kernel.shape[1], side, side]
            lay_out = torch.ops.mkldnn._reorder_convolution_weight
            self._kernel: Tensor = lay_out(plain, *self._geometry, expected)
        else:
            self._kernel = kernel.contiguous(memory_format=torch.channels_last)

    def __call__(self, maps: Tensor, add: Tensor | None = None, clip: bool = True) -> Tensor:
        """The convolution of `maps (N, inputs, h, w)`, plus `add` of the result's shape, clipped at
        zero (ReLU). Gradients go through, which takes longer."""
        if not self._laid_out or torch.is_grad_enabled():
            return self._pass_plainly(maps, add, clip)
        layer = self._kernel, self._shift, *self._geometry
        convolve = torch.ops.mkldnn._convolution_pointwise
        if add is None:
            result: Tensor = convolve(maps, *layer, "relu" if clip else "none", [], "")
        elif add.shape[2:] == (1, 1):
            # torch 2.11, the newest that ZeroGPU runs, cannot add maps of one pixel as it goes.
            result = _finish(convolve(maps, *layer, "none", [], ""), add, clip)
        else:
            then = "relu" if clip else None
            result = convolve.binary(maps, add, *layer, "add", 1.0, then, [], "")
        return result

    def _pass_plainly(self, maps: Tensor, add: Tensor | None, clip: bool) -> Tensor:
        kernel = self._kernel.to_dense() if self._laid_out else self._kernel
        padding, stride, *_ = self._geometry
        kernel = kernel.contiguous(memory_format=torch.channels_last)
        result = F.conv2d(maps, kernel, self._shift, stride, padding)
        return _finish(result, add, clip)


def _finish(result: Tensor, add: Tensor | None, clip: bool) -> Tensor:
    if add is not None:
        result = result + add
    return result.relu_() if clip else result
