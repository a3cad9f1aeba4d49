"""Any recipe, as hypothesis strategies, and what an image composed from it must hold."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from operator import mul
from pathlib import Path

from hypothesis import strategies as st

from ironic_httpboot.model import AppendedFile, Arch, BootRecipe, Chain, Container
from kit import efi

SIZES = (0, 1, 2047, 2048, 2049, 70_000)
_OURS = ("boot/vmlinuz", "boot/initrd-", "boot/grub/", ".disk/info")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pantry:
    """Files from which recipes are made. files: by size in bytes."""

    root: Path
    kernels: dict[Arch, Path]
    files: dict[int, Path]

    @classmethod
    def stock(cls, root: Path) -> Pantry:
        """Make the files in a folder."""
        kernels = {}
        for arch in Arch:
            efi.loaders(root, arch)
            kernels[arch] = root / f"vmlinuz-{arch.value}"
            kernels[arch].write_bytes(efi.kernel(arch, f"kernel for {arch.value}".encode()))
        files = {size: root / f"file-{size}" for size in SIZES}
        for size, path in files.items():
            path.write_bytes(bytes(n * 7 % 251 for n in range(size)))
        return cls(root=root, kernels=kernels, files=files)


def _fits(name: str) -> bool:
    return name not in (".", "..") and len(name.encode()) <= _LONGEST_BYTES


def paths(*, levels: int, names: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Relative paths of at most so many levels."""
    return st.lists(names, min_size=1, max_size=levels).map("/".join)


_LONGEST_BYTES = 255
_plain = st.text("abcABC019._-~+ ", min_size=1, max_size=12)
_long = st.one_of(
    [st.integers(60, _LONGEST_BYTES // len(letter.encode())).map(partial(mul, letter)) for letter in "aé語"]
)


def _names(letters: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Names that fit. What is drawn hardly ever has to be thrown away, of which hypothesis would soon have enough."""
    return st.one_of(_plain, st.text(letters, min_size=1, max_size=20), _long).filter(_fits)


NAMES = _names(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]))
ONE_LINE_NAMES = _names(st.characters(exclude_characters="/", exclude_categories=["C", "Z"]))


def agree(given: list[str]) -> list[str]:
    """Those paths that can stand beside each other, and beside what an image holds anyway."""
    kept: list[str] = []
    for path in given:
        folded = path + "/"
        if any(folded.startswith(f"{each}/") or each.startswith(folded) for each in kept):
            continue
        if path in ("boot", "boot/grub", ".disk") or path.startswith(_OURS) or path.startswith(".disk/info/"):
            continue
        kept.append(path)
    return kept


@st.composite
def cmdlines(draw: st.DrawFn, chain: Chain) -> str:
    """Command lines that a chain hands on as they are."""
    lost = "" if chain is Chain.UKI else "\\'\""
    letters = st.characters(min_codepoint=0x20, max_codepoint=0x7E, exclude_characters=lost)
    words = draw(st.lists(st.text(letters, max_size=30), max_size=12))
    return " ".join(words)


@st.composite
def recipes(draw: st.DrawFn, pantry: Pantry, names: st.SearchStrategy[str] = NAMES) -> BootRecipe:
    """Recipes that must compose."""
    chain = draw(st.sampled_from(Chain))
    container = draw(st.sampled_from(Container)) if chain is Chain.UKI else Container.ISO
    arch = draw(st.sampled_from(Arch))
    source = st.sampled_from(sorted(pantry.files.values()))
    appended = agree(draw(st.lists(paths(levels=5, names=names), max_size=4)))
    files: list[str] = []
    if container is Container.ISO:
        files = draw(st.lists(paths(levels=8, names=names), max_size=12))
        many = draw(st.sampled_from([0, 0, 0, 1, 12, 13, 40, 150]))
        ending = draw(names) if many else ""
        files += [name for number in range(many) if _fits(name := f"{number}{ending}")]
    return BootRecipe(
        arch=arch,
        chain=chain,
        container=container,
        kernel=pantry.kernels[arch],
        initrds=tuple(draw(st.lists(source, max_size=3))),
        appended=tuple(
            AppendedFile(path=path, data=draw(st.binary(max_size=20)), mode=draw(st.integers(0, 0o777)))
            for path in appended
        ),
        cmdline=draw(cmdlines(chain)),
        files=tuple((path, draw(source)) for path in agree(files)),
        label=draw(st.text("ABYZ019_", min_size=1, max_size=32)),
    )
