"""Send store entries to another machine's store, and check their hashes on arrival."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from harness.artifacts.store import Manifest, Store
from harness.core.errors import HarnessError
from harness.core.files import write_files
from harness.core.hashing import key_of
from harness.jobs.journal import digest_of


class Parcel(msgspec.Struct, frozen=True):
    """One entry: the content of its ``manifest.json``, and of each file by relative path."""

    manifest: Manifest
    files: dict[str, bytes]


def pack(root: Path, keys: Iterable[str]) -> Iterator[Parcel]:
    """Yield the entries that are in the store in ``root``."""
    for key in keys:
        try:
            manifest = msgspec.json.decode((root / key / "manifest.json").read_bytes(), type=Manifest)
            files = {name: (root / key / name).read_bytes() for name in manifest.files}
        except (OSError, msgspec.MsgspecError):
            continue  # a failed recipe leaves no entry, and a damaged one is made again where it is used
        yield Parcel(manifest, files)


def unpack(store: Store, parcel: Parcel) -> None:
    """Put the entry into the store, unless it is there already.

    Raises:
        HarnessError: the entry was damaged on the way, or the store cannot be written.
    """
    manifest = parcel.manifest
    if key_of(manifest.origin) != manifest.key:
        raise HarnessError(f"the artifact {manifest.key} arrived with a manifest that does not match its key")

    def fill(folder: Path) -> Mapping[str, Any]:
        write_files(folder, parcel.files)
        wrong = [name for name, digest in manifest.files.items() if digest_of(folder / name) != digest]
        if wrong:
            raise HarnessError(f"the artifact {manifest.key} arrived damaged: {', '.join(wrong)}")
        return manifest.values

    store.get_or_make(manifest.origin, fill)
