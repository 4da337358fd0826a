"""Which file system a folder lies on, and whether a database may live there.

SQLite's locks and its shared memory do not work between machines: on a network drive two writers damage the file and
nobody notices. So a data folder there is refused, with one sentence and a way to insist. Knows nothing of databases.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from nsp_core.errors import ConfigError

INSIST = "WHATNEXT_ALLOW_NETWORK_MOUNT"

# fmt: off
NETWORK = {
    "afpfs", "afs", "beegfs", "ceph", "cifs", "coda", "davfs", "ftp", "gfs2", "glusterfs", "gpfs", "lustre", "ncp",
    "ncpfs", "nfs", "nfs3", "nfs4", "ocfs2", "orangefs", "prl_fs", "pvfs2", "smb", "smb2", "smb3", "smbfs", "sshfs",
    "vboxsf", "webdav",
}
# Drives in user space whose files are on this machine. Any other one may be anywhere.
LOCAL_FUSE = {
    "fuse.apfs-fuse", "fuse.bindfs", "fuse.cryfs", "fuse.ecryptfs", "fuse.encfs", "fuse.exfat", "fuse.ext2",
    "fuse.fuse-overlayfs", "fuse.gocryptfs", "fuse.lxcfs", "fuse.mergerfs", "fuse.ntfs", "fuse.ntfs-3g",
    "fuse.overlayfs", "fuse.virtiofs", "fuse.zfs", "fuseblk", "fusectl",
}
# fmt: on
_PATIENCE = 5.0  # seconds for macOS's `mount`


@dataclass(frozen=True)
class Mount:
    point: str
    kind: str
    source: str = ""
    options: str = ""

    @property
    def is_network(self) -> bool:
        if self.kind == "9p":  # also how virtual machines and sandboxes show their own disk
            return "trans=tcp" in self.options or "drvfs" in self.options
        if self.kind.startswith("fuse"):
            return self.kind not in LOCAL_FUSE
        return self.kind in NETWORK


def refuse_network_mount(folder: Path) -> None:
    """Raises ConfigError when a database in `folder` would not be safe. Where that cannot be found out, it may be."""
    mount = mount_of(folder)
    if mount is None or not mount.is_network or os.environ.get(INSIST) == "1":
        return
    raise ConfigError(sentence(folder, mount))


def sentence(folder: Path, mount: Mount) -> str:
    return (
        f"Stories cannot be kept in {folder}, which is a network drive ({mount.kind} at {mount.point}): databases get "
        f"damaged there; choose a folder on a disk of this machine with --data-dir, or set {INSIST}=1 to take the risk."
    )


def mount_of(folder: Path) -> Mount | None:
    """What `folder` lies on, also when it does not exist yet; None when nobody says."""
    folder = folder.resolve()
    if sys.platform == "win32":
        return _windows(folder)
    if sys.platform == "darwin":
        return nearest(folder, _macos())
    try:
        return nearest(folder, read_mounts(Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace")))
    except OSError:
        return None


def read_mounts(text: str) -> list[Mount]:
    """/proc/mounts: source, point, kind, options; spaces are written as \\040."""
    mounts = []
    for line in text.splitlines():
        fields = [re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), field) for field in line.split()]
        if len(fields) >= 4:
            mounts.append(Mount(fields[1], fields[2], fields[0], fields[3]))
    return mounts


def nearest(folder: Path, mounts: list[Mount]) -> Mount | None:
    """The innermost mount that `folder` lies in; of several at one place the last, which hides the others."""
    found: Mount | None = None
    for mount in mounts:
        inside = folder == Path(mount.point) or Path(mount.point) in folder.parents
        if inside and mount.kind != "autofs" and (found is None or len(mount.point) >= len(found.point)):
            found = mount
    return found


def _macos() -> list[Mount]:
    """`mount` prints: //me@server/share on /Volumes/share (smbfs, nodev, nosuid)."""
    try:
        done = subprocess.run(["/sbin/mount"], capture_output=True, text=True, timeout=_PATIENCE)
    except (OSError, subprocess.TimeoutExpired):
        return []
    found = re.findall(r"^(.*?) on (/.*?) \((\w+)([^)]*)\)$", done.stdout, re.MULTILINE)
    return [Mount(point, kind, source, options) for source, point, kind, options in found]


def _windows(folder: Path) -> Mount | None:
    drive = folder.drive
    if drive.startswith("\\\\"):
        return Mount(drive, "smb")
    import ctypes

    remote = 4  # DRIVE_REMOTE
    kind: int = ctypes.windll.kernel32.GetDriveTypeW(f"{drive}\\")  # type: ignore[attr-defined]
    return Mount(drive, "smb" if kind == remote else "disk")
