"""Devices by the names that targets use: ``cpu``, ``gpu``, or the type of a custom device."""

from __future__ import annotations

import contextlib
from typing import Any, Dict, Iterator, List, Optional

import paddle


def custom_types() -> List[str]:
    """Return the types of plug-in devices, as Paddle reports them."""
    return list(paddle.device.get_all_custom_device_type() or [])


def missing(device: str) -> Optional[str]:
    """Return why the device cannot be used here, or None."""
    if device == "cpu":
        return None
    if device == "gpu":
        if not paddle.is_compiled_with_cuda():
            return f"Paddle {paddle.__version__} here is a CPU build: this target needs paddlepaddle-gpu"
        return None if paddle.device.cuda.device_count() else "this build of Paddle sees no GPU"
    types = custom_types()
    if device in types:
        if int(paddle.__version__.split(".")[0]) >= 3:
            return None
        return (
            f"Paddle {paddle.__version__} does not report a custom device's memory, which would prove its use"
        )
    if not types:
        return "Paddle reports no custom device here: one needs its vendor's plug-in (paddle-custom-…)"
    names = ", ".join(types)
    return f"Paddle reports no custom device {device} here, but {names}: name one of those"


def of(tensor: Any) -> str:
    """Return the device that a tensor is on."""
    place = tensor.place
    if place.is_gpu_place():
        return "gpu"
    if place.is_custom_place():
        return str(place.custom_device_type())
    return "cpu" if place.is_cpu_place() else str(place)


def synchronize(device: str) -> None:
    """Wait until the device has finished its work; a CPU has when a call returns."""
    if device != "cpu":
        paddle.device.synchronize(device)


def memory(device: str) -> Dict[str, float]:
    """Return what Paddle has allocated on the device now and at its peak, in MiB; {} for a CPU.

    It is read where `paddle.device.cuda.memory_allocated` reads it; some releases refuse that function for
    a custom device.
    """
    if device == "cpu":
        return {}
    core = paddle.base.core
    return {
        "device_now_mib": core.device_memory_stat_current_value("Allocated", 0) / 2**20,
        "device_peak_mib": core.device_memory_stat_peak_value("Allocated", 0) / 2**20,
    }


def reset_peak(device: str) -> None:
    """Reset the device's peak memory, where the release can (3.0 and later)."""
    if device != "cpu" and hasattr(paddle.device.cuda, "reset_max_memory_allocated"):
        paddle.device.cuda.reset_max_memory_allocated(0)


class Meter:
    """Memory that a session takes on its device, without what this process had there before."""

    def __init__(self, device: str) -> None:
        self.device = device
        reset_peak(device)
        self.before = memory(device)

    def told(self) -> Dict[str, float]:
        """Return ``device_used_mib``, allocated since then: the peak's growth if larger; {} for a CPU."""
        after = memory(self.device)
        grown = [after[name] - self.before[name] for name in after]
        return {"device_used_mib": max(grown)} if grown else {}


@contextlib.contextmanager
def chosen(device: str) -> Iterator[None]:
    """Make Paddle create and run tensors on the device inside the block, and on the CPU again after it."""
    if device == "cpu":
        yield
        return
    paddle.set_device(device)
    try:
        yield
    finally:
        paddle.set_device("cpu")
