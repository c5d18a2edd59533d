"""Which systems there are, what each needs installed, and which module runs it."""

from __future__ import annotations

from dataclasses import dataclass

_TORCH = "torch==2.13.0"
_ARROW = "pyarrow==26.0.1"


@dataclass(frozen=True, slots=True)
class Environment:
    """Pinned packages of one virtual environment, and a module that shows that it works.

    `unwanted` packages are taken out again after the installation.
    """

    name: str
    requirements: tuple[str, ...]
    shows: str
    unwanted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class System:
    """A system that learns a table; without an environment it runs in that of the benchmark."""

    name: str
    module: str
    environment: Environment | None
    cheap: bool = False


_SDV = Environment("sdv", ("sdv==2.0.0", _TORCH, _ARROW), "sdv.single_table")
# What it asks for beside torch is built for graphics cards: next to a CPU build of torch the
# import fails, without it all that concerns tables works.
_MOSTLY = Environment(
    "mostlyai",
    ("mostlyai-engine==2.7.3", _TORCH, _ARROW),
    "mostlyai.engine",
    unwanted=("torchvision", "torchaudio"),
)
_MOSTLY_TABLES = Environment(
    "mostlyai-sdk",
    ("mostlyai[local]==6.2.0", _TORCH, _ARROW),
    "mostlyai.sdk",
    unwanted=("torchvision", "torchaudio"),
)
_CART = Environment("synthpop", ("synthpop-py==0.1.3", _ARROW), "synthpop")

SCORER = Environment(
    "scorer",
    ("scikit-learn==1.9.1", "xgboost-cpu==3.2.0", "numpy==2.4.6", _ARROW),
    "xgboost",
)
"""What judges the rows of all systems."""

OURS = "syntheflow"
REAL = "training-rows"
"""The training rows themselves, judged as if they were synthetic: what the best could reach."""

SYSTEMS: dict[str, System] = {
    system.name: system
    for system in (
        System(OURS, "peers.run_syntheflow", None, cheap=True),
        System("mostlyai", "peers.run_mostlyai", _MOSTLY),
        System("cart", "peers.run_synthpop", _CART, cheap=True),
        System("copula", "peers.run_sdv", _SDV, cheap=True),
        System("tvae", "peers.run_sdv", _SDV),
        System("ctgan", "peers.run_sdv", _SDV),
    )
}
"""Of single_table.py."""

RELATED: dict[str, System] = {
    system.name: system
    for system in (
        System(OURS, "peers.related_syntheflow", None, cheap=True),
        System("mostlyai", "peers.related_mostlyai", _MOSTLY_TABLES),
        System("hma", "peers.related_hma", _SDV),
    )
}
"""Of related_tables.py."""
