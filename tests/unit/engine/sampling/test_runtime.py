"""What the codes of numbers stand for at the least."""

from __future__ import annotations

import pyarrow as pa

from syntheflow_server.domain.schema import Column, SemanticType
from syntheflow_server.engine.encoding.constant import ConstantCodec
from syntheflow_server.engine.sampling.runtime import lowest_values


def test_a_number_that_is_always_the_same_is_its_own_lowest():
    days = Column(name="days", type="int64", semantic_type=SemanticType.INTEGER)
    codec = ConstantCodec.fit(days, pa.array([3]))
    assert lowest_values(codec).tolist() == [3]
