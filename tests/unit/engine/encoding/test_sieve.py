import numpy as np
import pyarrow as pa

from syntheflow_server.domain.schema import Column, SemanticType
from syntheflow_server.engine.encoding import codec_from_state, codec_to_state, fit_codec
from syntheflow_server.engine.encoding.sieve import Sieve

FIRST = ["ada", "bo", "cleo", "dan", "eve", "finn", "gus", "hal", "ida", "jo"]
LAST = ["abel", "berg", "cole", "dorn", "egan", "ford", "gray", "hill", "ives", "jung"]


def test_a_sieve_holds_every_value_it_was_made_of_and_about_a_quarter_of_the_others():
    mine = [f"person-{i}" for i in range(5000)]
    sieve = Sieve.of(mine)
    assert sieve.holds(pa.array(mine)).all()
    others = sieve.holds(pa.array([f"nobody-{i}" for i in range(20_000)]))
    assert 0.17 < others.mean() < 0.27


def test_a_sieve_of_nothing_holds_nothing():
    assert not Sieve.of([]).holds(pa.array(["a", "", "é"])).any()


def test_long_and_foreign_strings_are_told_apart():
    texts = ["ab" * 200, "Zażółć", "名前", "🙂🙂", ""]
    assert Sieve.of(texts).holds(pa.array(texts)).all()


def emails(rows):
    rng = np.random.default_rng(3)
    pairs = rng.permutation(100)[:rows]
    return [f"{FIRST[p // 10]}.{LAST[p % 10]}@x.example" for p in pairs]


def test_composed_strings_are_never_a_rare_real_value_though_their_words_are_common():
    # Sixty of the hundred possible addresses are real: by chance most would come back.
    real = emails(60)
    column = Column(name="email", type="string", semantic_type=SemanticType.TEXT)
    codec = fit_codec(column, pa.chunked_array([real]), seed=0)
    rng = np.random.default_rng(0)
    codes = np.zeros((500, len(codec.sizes)), np.uint16)
    uniforms = rng.random((500, codec.draws))
    made = codec.decode(codes, uniforms).to_pylist()
    assert not set(made) & set(real)
    state = codec_to_state(codec)
    assert codec_from_state(*state).decode(codes, uniforms).to_pylist() == made
