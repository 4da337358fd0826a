"""The pack: tars of WebDataset with a manifest and an index, from which training reads (`pack:FOLDER`).

    train-000000.tar    KEY.mp4 or KEY.jpg, KEY.txt (the caption), KEY.json (everything that is known of it)
    held_out-000000.tar the same of films that are kept apart, with everything that belongs to them
    index.jsonl         a line a sample: where it lies, caption, pairs, source, licence, split
    manifest.json       counts, licences, sources, the config, the hash of every file

A pair belongs to the clip that comes next, and names the clip before it where that was seen. Same clips, same bytes:
tars have no dates and no owners. Whole folders appear under their name at the end, never a half one.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import tarfile
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from training.config import to_dict
from training.data.config import DataConfig
from training.data.rows import Row, hash_of_file, share_of

FORMAT = 1
TOLD = (
    *("source", "licence", "group", "name", "shot", "window", "start", "end", "frames", "sha256", "captioned_by"),
    *("motion", "brightness", "sharpness", "text", "still", "vae", "content"),
)


def pack(
    clips: Sequence[Row], pairs: Sequence[Row], config: DataConfig, folder: Path, apart: set[str] | None = None
) -> dict[str, Any]:
    """Writes folder/pack and gives its manifest. Clips without a caption are in it where the config says so. `apart`:
    the groups that are held out; None: as the config's share has it."""
    clips = [clip for clip in clips if clip.values.get("caption") or config.pack.uncaptioned]
    if apart is None:
        apart = held_out_groups({str(clip.values["group"]) for clip in clips}, config.pack.held_out)
    here = {clip.id for clip in clips}
    of_clip: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for pair in pairs:
        if pair.parent in here and pair.values.get("before", pair.parent) in here:
            kept = {
                k: pair.values[k]
                for k in ("origin", "preceding", "before", "gap", "verdict", "judge")
                if k in pair.values
            }
            of_clip[pair.parent].append(kept)
    made = folder / "pack.partial"
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True)
    index: list[dict[str, Any]] = []
    for split in ("train", "held_out"):
        some = [c for c in clips if (str(c.values["group"]) in apart) == (split == "held_out")]
        # neighbours of a shard should not be neighbours of a film: training reads shard by shard
        some.sort(key=lambda clip: clip.id)
        writer = Shards(made, split, config.pack.shard_bytes)
        for clip in some:
            index.append(writer.add(clip, of_clip[clip.id], folder))
        writer.close()
    (made / "index.jsonl").write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in index), "utf-8")
    manifest = manifest_of(index, config, made)
    (made / "manifest.json").write_text(json.dumps(manifest, indent=1, ensure_ascii=False), encoding="utf-8")
    put_in_place(made, folder / "pack")
    return manifest


class Shards:
    def __init__(self, folder: Path, split: str, most: int) -> None:
        self._folder, self._split, self._most = folder, split, most
        self._tar: tarfile.TarFile | None = None
        self._number, self._size = -1, 0

    def add(self, clip: Row, pairs: list[dict[str, Any]], folder: Path) -> dict[str, Any]:
        if self._tar is None or self._size > self._most:
            self.close()
            self._number, self._size = self._number + 1, 0
            path = self._folder / f"{self._split}-{self._number:06d}.tar"
            self._tar = tarfile.open(path, "w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115 - closed by `close`
        v = clip.values
        file = folder / str(v["file"])
        about = {"key": clip.id, "kind": v["kind"], "caption": v.get("caption", ""), "split": self._split}
        about |= {name: v[name] for name in TOLD if name in v} | {"pairs": pairs}
        parts = {file.suffix: file.read_bytes(), ".txt": str(v.get("caption", "")).encode()}
        if v.get("latents"):
            parts[".latents.safetensors"] = (folder / str(v["latents"])).read_bytes()
        parts[".json"] = json.dumps(about, ensure_ascii=False, sort_keys=True).encode()
        for ending, data in parts.items():
            member = tarfile.TarInfo(clip.id + ending)
            member.size, member.mode = len(data), 0o644
            self._tar.addfile(member, io.BytesIO(data))
            self._size += len(data)
        shard = f"{self._split}-{self._number:06d}.tar"
        return {"shard": shard, "member": clip.id + file.suffix, **about}

    def close(self) -> None:
        if self._tar is not None:
            self._tar.close()
            self._tar = None


def held_out_groups(groups: set[str], share: float) -> set[str]:
    """A group's own name decides, so that it stays where it is when others come. Of two or more at least one is kept
    apart and one is not."""
    if share <= 0 or len(groups) < 2:
        return set()
    order = sorted(groups, key=share_of)
    apart = {group for group in order if share_of(group) < share} or {order[0]}
    return apart if len(apart) < len(groups) else set(order[:-1])


def manifest_of(index: list[dict[str, Any]], config: DataConfig, made: Path) -> dict[str, Any]:
    splits: dict[str, Any] = {}
    for split in ("train", "held_out"):
        some = [line for line in index if line["split"] == split]
        origins = Counter(pair["origin"] for line in some for pair in line["pairs"])
        splits[split] = {"clips": len(some), "films": len({line["group"] for line in some}), "pairs": dict(origins)}
    return {
        "format": FORMAT,
        "splits": splits,
        "licences": dict(sorted(Counter(str(line["licence"]) for line in index).items())),
        "sources": dict(sorted(Counter(str(line["source"]) for line in index).items())),
        "files": {p.name: hash_of_file(p) for p in sorted(made.iterdir())},
        "config": {k: v for k, v in to_dict(config).items() if k not in ("run", "sources")},
    }


def put_in_place(made: Path, place: Path) -> None:
    """A pack of the same content stays as it is."""
    told = "manifest.json"
    if (place / told).is_file() and (place / told).read_bytes() == (made / told).read_bytes():
        shutil.rmtree(made)
        return
    old = place.with_name("pack.old")
    shutil.rmtree(old, ignore_errors=True)
    if place.exists():
        os.replace(place, old)
    os.replace(made, place)
    shutil.rmtree(old, ignore_errors=True)
