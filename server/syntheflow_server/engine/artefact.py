"""A fitted model as files: model.json says what, weights.safetensors holds the numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from syntheflow_server.domain.errors import DataLossError
from syntheflow_server.domain.resources import TableCard
from syntheflow_server.domain.schema import Schema
from syntheflow_server.engine.calendar import Calendar
from syntheflow_server.engine.cvae import NetworkShape, TableNetwork
from syntheflow_server.engine.encoding import codec_from_state
from syntheflow_server.engine.encoding.base import Token
from syntheflow_server.engine.encoding.choose import codec_to_state
from syntheflow_server.engine.encoding.plain import table_from_bytes, table_to_bytes
from syntheflow_server.engine.graph.clusters import Codebook, Featurizer
from syntheflow_server.engine.graph.context import RelativesNetwork
from syntheflow_server.engine.graph.structure import Family, Link, Structure
from syntheflow_server.engine.keys.base import KeyMaker
from syntheflow_server.engine.keys.grid import GridKey
from syntheflow_server.engine.keys.number import NumberKey
from syntheflow_server.engine.keys.pattern import PatternKey
from syntheflow_server.engine.keys.spread import SpreadKey
from syntheflow_server.engine.layout import Layout, Piece, PieceKind
from syntheflow_server.engine.model import FittedModel, TableModel
from syntheflow_server.engine.readings import Readings
from syntheflow_server.engine.relations import relation_from_state, relation_to_state
from syntheflow_server.engine.settings import FitSettings
from syntheflow_server.engine.support import Support

FORMAT = 5
_JSON = "model.json"
_WEIGHTS = "weights.safetensors"
_MAKERS: tuple[type[KeyMaker], ...] = (GridKey, NumberKey, PatternKey, SpreadKey)
Arrays = Mapping[str, npt.NDArray[Any]]


def write_artefact(model: FittedModel, directory: Path) -> None:
    """Write `model` into the existing `directory`."""
    tensors: dict[str, Tensor] = {}
    tables = [
        _write_table(model.tables[name], f"t{i}", tensors)
        for i, name in enumerate(model.family.order)
    ]
    books = list(model.codebooks)
    for i, name in enumerate(books):
        _put(tensors, f"book{i}", model.codebooks[name].to_arrays())
    facts = {
        "format": FORMAT,
        "readings": model.readings.to_json(),
        "schema": model.schema.model_dump(mode="json"),
        "settings": asdict(model.settings),
        "tables": tables,
        "codebooks": books,
        "kept": list(model.kept),
    }
    for i, name in enumerate(model.kept):
        _put(tensors, f"kept{i}", _kept_arrays(model, name))
    save_file(tensors, directory / _WEIGHTS)
    (directory / _JSON).write_text(json.dumps(facts), encoding="utf-8")


def load(directory: Path) -> FittedModel:
    """Return the model in `directory`; weights stay mapped from the file until they change.

    Raises DataLossError if a file is missing or damaged.
    """
    try:
        facts = json.loads((directory / _JSON).read_text(encoding="utf-8"))
        if facts["format"] != FORMAT:
            raise DataLossError(
                f"the model's artefact has format {facts['format']}, this server reads {FORMAT};"
                " train the model again",
                reason="ARTEFACT_FORMAT",
            )
        with safe_open(directory / _WEIGHTS, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        return _read(facts, tensors)
    except (
        OSError,
        SafetensorError,
        ValidationError,
        KeyError,
        IndexError,
        TypeError,
        ValueError,
        RuntimeError,
    ) as error:
        raise DataLossError(
            "the model's artefact is damaged; train the model again", reason="ARTEFACT_DAMAGED"
        ) from error


def _read(facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> FittedModel:
    schema = Schema.model_validate(facts["schema"])
    readings = Readings.from_json(facts.get("readings", []))
    counted = readings.schema(schema)
    order = tuple(item["structure"]["table"] for item in facts["tables"])
    structures = {
        item["structure"]["table"]: Structure.model_validate(item["structure"])
        for item in facts["tables"]
    }
    family = Family(structures, order)
    layouts = {
        name: _read_layout(item["pieces"], f"t{i}", tensors)
        for i, (name, item) in enumerate(zip(order, facts["tables"], strict=True))
    }
    models = {}
    for i, (name, item) in enumerate(zip(order, facts["tables"], strict=True)):
        models[name] = _read_table(item, f"t{i}", tensors, counted, family, layouts)
    books = {
        name: Codebook.from_arrays(_taken(tensors, f"book{i}"))
        for i, name in enumerate(facts["codebooks"])
    }
    settings = facts["settings"] | {"keep": tuple(facts["settings"]["keep"])}
    kept = {name: _taken(tensors, f"kept{i}") for i, name in enumerate(facts["kept"])}
    return FittedModel(
        schema,
        FitSettings(**settings),
        family,
        models,
        books,
        kept={name: table_from_bytes(held["rows"]) for name, held in kept.items()},
        kept_codes={name: held["codes"] for name, held in kept.items()},
        readings=readings,
    )


def _kept_arrays(model: FittedModel, name: str) -> Arrays:
    """Return a kept table's rows and tokens as named arrays."""
    return {"rows": table_to_bytes(model.kept[name]), "codes": model.kept_codes[name]}


def _write_table(model: TableModel, prefix: str, tensors: dict[str, Tensor]) -> dict[str, Any]:
    network, relatives = model.network, model.relatives
    if network is not None:
        tensors |= {f"{prefix}/net/{k}": v.contiguous() for k, v in network.state_dict().items()}
    if relatives is not None:
        tensors |= {f"{prefix}/kin/{k}": v.contiguous() for k, v in relatives.state_dict().items()}
    points = {str(i): table for i, table in enumerate(model.history.tables)}
    _put(tensors, f"{prefix}/history", points)
    makers = []
    for group, made in (("makers", model.makers), ("owner_makers", model.owner_makers)):
        for i, maker in enumerate(made):
            facts, arrays = maker.to_state()
            _put(tensors, f"{prefix}/{group}{i}", arrays)
            makers.append(facts | {"maker": maker.kind, "group": group, "place": i})
    relations = []
    for i, relation in enumerate(model.relations):
        facts, arrays = relation_to_state(relation)
        _put(tensors, f"{prefix}/relation{i}", arrays)
        relations.append(facts)
    support, pairs = model.support.to_state()
    _put(tensors, f"{prefix}/support", pairs)
    return {
        "structure": model.structure.model_dump(mode="json"),
        "pieces": [
            _write_piece(piece, f"{prefix}/p{i}", tensors)
            for i, piece in enumerate(model.layout.pieces)
        ],
        "makers": makers,
        "relations": relations,
        "support": support,
        "network": network.shape.to_json() if network is not None else None,
        "relatives": _relatives_facts(relatives),
        # Seconds are the one thing that differs between equal fits: their bytes shall not.
        "card": model.card.model_dump(mode="json", exclude={"train_seconds"}),
    }


def _relatives_facts(relatives: RelativesNetwork | None) -> dict[str, Any] | None:
    if relatives is None:
        return None
    return {
        "history": relatives.history,
        "latent": relatives.latent,
        "grand": relatives.grand_tokens is not None,
        "beside": relatives.beside,
    }


def _write_piece(piece: Piece, prefix: str, tensors: dict[str, Tensor]) -> dict[str, Any]:
    facts: dict[str, Any] = {"kind": piece.kind.value, "name": piece.name}
    if piece.codec is not None:
        codec, arrays = codec_to_state(piece.codec)
        _put(tensors, f"{prefix}/codec", arrays)
        facts["codec"] = codec
    elif piece.calendar is not None:
        calendar, arrays = piece.calendar.to_state()
        _put(tensors, f"{prefix}/calendar", arrays)
        facts["calendar"] = calendar
    else:
        facts["sizes"] = [token.size for token in piece.tokens]
    if piece.base:
        facts["base"], facts["by_cycle"] = piece.base, piece.by_cycle
    if piece.link is not None:
        facts["link"] = piece.link.model_dump(mode="json")
    return facts


def _read_layout(
    pieces: list[dict[str, Any]], prefix: str, tensors: Mapping[str, Tensor]
) -> Layout:
    return Layout.of(
        [_read_piece(facts, f"{prefix}/p{i}", tensors) for i, facts in enumerate(pieces)]
    )


def _read_piece(facts: dict[str, Any], prefix: str, tensors: Mapping[str, Tensor]) -> Piece:
    kind, name = PieceKind(facts["kind"]), facts["name"]
    if "codec" in facts:
        codec = codec_from_state(facts["codec"], _taken(tensors, f"{prefix}/codec"))
        base, by_cycle = facts.get("base", ""), facts.get("by_cycle", False)
        return Piece(kind, name, codec.tokens, codec, base=base, by_cycle=by_cycle)
    if "calendar" in facts:
        calendar = Calendar.from_state(facts["calendar"], _taken(tensors, f"{prefix}/calendar"))
        return Piece(kind, name, calendar.tokens, calendar=calendar)
    link = Link.model_validate(facts["link"]) if "link" in facts else None
    return Piece(kind, name, tuple(Token(size) for size in facts["sizes"]), link=link)


def _read_table(
    facts: dict[str, Any],
    prefix: str,
    tensors: Mapping[str, Tensor],
    schema: Schema,
    family: Family,
    layouts: Mapping[str, Layout],
) -> TableModel:
    name = facts["structure"]["table"]
    points = _taken(tensors, f"{prefix}/history")
    history = Featurizer(tuple(points[str(i)] for i in range(len(points))))
    network = relatives = None
    if facts["network"] is not None:
        with torch.random.fork_rng(devices=[]):
            network = TableNetwork(NetworkShape.from_json(facts["network"]))
        _assign(network, f"{prefix}/net/", tensors)
    if facts["relatives"] is not None:
        relatives = _read_relatives(facts["relatives"], name, family, layouts, history)
        _assign(relatives, f"{prefix}/kin/", tensors)
    makers: dict[str, list[KeyMaker]] = {"makers": [], "owner_makers": []}
    for item in facts["makers"]:
        own = dict(item)
        kind, group, place = own.pop("maker"), own.pop("group"), own.pop("place")
        maker = next(maker for maker in _MAKERS if maker.kind == kind)
        arrays = _taken(tensors, f"{prefix}/{group}{place}")
        makers[group].append(maker.from_state(own, arrays))
    return TableModel(
        table=schema.table(name),
        structure=family[name],
        layout=layouts[name],
        makers=tuple(makers["makers"]),
        owner_makers=tuple(makers["owner_makers"]),
        network=network,
        relatives=relatives,
        history=history,
        card=TableCard.model_validate({"train_seconds": 0.0} | facts["card"]),
        relations=tuple(
            relation_from_state(item, _taken(tensors, f"{prefix}/relation{i}"))
            for i, item in enumerate(facts["relations"])
        ),
        support=Support.from_state(facts["support"], _taken(tensors, f"{prefix}/support")),
    )


def _read_relatives(
    facts: Mapping[str, Any],
    name: str,
    family: Family,
    layouts: Mapping[str, Layout],
    history: Featurizer,
) -> RelativesNetwork:
    owner = family.owner_of(name)
    grand = family.owner_of(owner)
    with torch.random.fork_rng(devices=[]):
        return RelativesNetwork(
            layouts[owner].tokens,
            layouts[grand].tokens if facts["grand"] else None,
            layouts[name].tokens if facts["history"] else None,
            history.width,
            latent=facts["latent"],
            beside=facts["beside"],
        )


def _assign(module: nn.Module, prefix: str, tensors: Mapping[str, Tensor]) -> None:
    """Give the module the mapped tensors themselves; buffers are computed, not stored."""
    state = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
    module.load_state_dict(state, assign=True)
    module.eval()


def _put(tensors: dict[str, Tensor], prefix: str, arrays: Arrays) -> None:
    for name, value in arrays.items():
        tensors[f"{prefix}/{name}"] = torch.from_numpy(np.ascontiguousarray(value).copy())


def _taken(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, npt.NDArray[Any]]:
    start = f"{prefix}/"
    return {
        name.removeprefix(start): tensor.numpy()
        for name, tensor in tensors.items()
        if name.startswith(start)
    }
