"""Composed addresses are nobody's: names that many hold meet in a real one by chance."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from tests.unit.engine.conftest import generate, learn, world

from syntheflow_server.domain.schema import Column, SemanticType
from syntheflow_server.engine.encoding.sieve import Sieve
from syntheflow_server.engine.relations import Ref, relation_from_state, relation_to_state
from syntheflow_server.engine.relations.strings import Composed, Item

_FIRST = [f"{a}{b}" for a in ("An", "Bel", "Cor", "Dor") for b in ("na", "mo", "lia", "tis")]
_LAST = [f"{a}{b}" for a in ("Berg", "Stein", "Wald", "Feld") for b in ("er", "mann", "hof", "au")]


def _address(*, free: bool) -> Composed:
    end = [Item(-2, "")] if free else []
    items = (Item(0, "lower"), Item(-1, "."), Item(1, "lower"), *end, Item(-1, "@x.org"))
    part = Column(name="mail part 1", type="string", semantic_type=SemanticType.CATEGORY)
    needs, hidden = (Ref("first"), Ref("last")), (part,) if free else ()
    return Composed(makes=("mail",), needs=needs, hidden=hidden, items=items)


@pytest.mark.parametrize("free", [False, True])
def test_an_address_that_somebody_has_gets_a_number(free):
    relation = _address(free=free)
    real = {"ada.byron@x.org", "ada.byron2@x.org"}
    hidden = [pa.array(["", "2"])] if free else []
    guarded = relation.guarding(hidden, Sieve.of(sorted(real)))
    given = {Ref("first"): pa.array(["Ada", None]), Ref("last"): pa.array(["Byron", "Y"])}
    given |= {Ref(column.name): pa.array(["", "2"]) for column in relation.hidden}
    made = guarded.derive("mail", given).to_pylist()
    assert relation.derive("mail", given).to_pylist() == ["ada.byron@x.org", None]
    assert made[0] not in real
    assert made[0].removeprefix("ada.byron").removesuffix("@x.org").isdecimal()
    assert made[1] is None
    again = relation_from_state(*relation_to_state(guarded))
    assert again.derive("mail", given).to_pylist() == made


def test_a_full_name_has_no_place_for_a_number():
    items = (Item(0, "whole"), Item(-1, " "), Item(1, "whole"))
    relation = Composed(makes=("name",), needs=(Ref("first"), Ref("last")), items=items)
    assert relation.guarding([], Sieve.of(["Ada Byron"])) is relation


def test_synthetic_people_have_nobodys_address():
    rng = np.random.default_rng(0)
    chosen = rng.choice(len(_FIRST) * len(_LAST), 150, replace=False)
    first = [_FIRST[i // len(_LAST)] for i in chosen]
    last = [_LAST[i % len(_LAST)] for i in chosen]
    mail = [f"{a.lower()}.{b.lower()}@x.org" for a, b in zip(first, last, strict=True)]
    table = pa.table({"id": range(150), "first": first, "last": last, "mail": mail})
    model = learn(world({"people": (table, "id")}, []), holdout_share=0.0)
    made = generate(model, rows={"people": 400})["people"]
    names = set(zip(made["first"].to_pylist(), made["last"].to_pylist(), strict=True))
    assert names & set(zip(first, last, strict=True))
    assert not set(made["mail"].to_pylist()) & set(mail)
    assert all(text.endswith("@x.org") for text in made["mail"].to_pylist())
