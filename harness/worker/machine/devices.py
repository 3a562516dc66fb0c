"""Devices by the names that targets use: ``cpu``, ``gpu``, or the type of a custom device."""

from __future__ import annotations

import contextlib
from typing import Any, Dict, Iterator, List, Optional

import paddle


def custom_types() -> List[str]:
    """Types of the devices that plug-ins brought, as Paddle reports them."""
    return list(paddle.device.get_all_custom_device_type() or [])


def missing(device: str) -> Optional[str]:
    """Why the device cannot be used here, or None."""
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
            f"Paddle {paddle.__version__} counts no memory of custom devices, so nothing tells what ran there"
        )
    if not types:
        return "Paddle reports no custom device here: one needs its vendor's plug-in (paddle-custom-…)"
    told = ", ".join(types)
    return f"Paddle reports no custom device {device} here, but {told}: name one of those"


def of(tensor: Any) -> str:
    """The device a tensor lies on."""
    place = tensor.place
    if place.is_gpu_place():
        return "gpu"
    if place.is_custom_place():
        return str(place.custom_device_type())
    return "cpu" if place.is_cpu_place() else str(place)


def synchronize(device: str) -> None:
    """Wait until the device has done all it was given; a CPU has when the call returns."""
    if device != "cpu":
        paddle.device.synchronize(device)


def memory(device: str) -> Dict[str, float]:
    """Present memory of what Paddle allocated on the device and its peak, in MiB; {} for a CPU.

    Read where `paddle.device.cuda.memory_allocated` reads it, which some releases refuse a custom device.
    """
    if device == "cpu":
        return {}
    core = paddle.base.core
    return {
        "device_now_mib": core.device_memory_stat_current_value("Allocated", 0) / 2**20,
        "device_peak_mib": core.device_memory_stat_peak_value("Allocated", 0) / 2**20,
    }


def reset_peak(device: str) -> None:
    """Forget the device's peak memory so far, where the release can (3.0 and later)."""
    if device != "cpu" and hasattr(paddle.device.cuda, "reset_max_memory_allocated"):
        paddle.device.cuda.reset_max_memory_allocated(0)


class Meter:
    """Memory that a session takes on its device. What others hold there in this process counts before."""

    def __init__(self, device: str) -> None:
        self.device = device
        reset_peak(device)
        self.before = memory(device)

    def told(self) -> Dict[str, float]:
        """``device_used_mib``: what was allocated since, at its peak if that was a new one; {} for a CPU."""
        after = memory(self.device)
        grown = [after[name] - self.before[name] for name in after]
        return {"device_used_mib": max(grown)} if grown else {}


@contextlib.contextmanager
def chosen(device: str) -> Iterator[None]:
    """Paddle's own calls make and run tensors on that device meanwhile, and on the CPU again behind it."""
    if device == "cpu":
        yield
        return
    paddle.set_device(device)
    try:
        yield
    finally:
        paddle.set_device("cpu")
