"""Strings that do not repeat: composed anew, in the shape of the column."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa

from syntheflow_server.domain.schema import Column
from syntheflow_server.engine.encoding import Codec, codec_from_state, codec_to_state, fit_codec
from syntheflow_server.engine.encoding.prose import Prose

RNG = np.random.default_rng(11)
FIRST = ["Ana", "Ben", "Eva", "Noah", "Mia", "Zoë"]
SYLLABLES = ["ka", "ro", "mi", "ste", "lun", "ber", "tho", "gra", "wi", "pel"]


def fitted(values: list) -> Codec:
    return fit_codec(Column(name="t", type="string", semantic_type="text"), pa.array(values), 0)


def made(codec: Codec, values: list, seed: int = 1) -> list:
    draws = np.random.default_rng(seed).random((len(values), codec.draws))
    return codec.decode(codec.encode(pa.array(values)), draws).to_pylist()


def surname() -> str:
    return "".join(RNG.choice(SYLLABLES, 4)).capitalize()


def test_codes_keep_their_shape_and_are_not_the_real_ones() -> None:
    real = [
        f"{RNG.integers(1000, 9999)}-{''.join(RNG.choice(list('ABCDEFGH'), 5))}"
        for _ in range(3000)
    ]
    new = made(fitted(real), real)
    assert all(re.fullmatch(r"[1-9]\d{3}-[A-H]{5}", text) for text in new)
    assert len(set(new)) > 2900
    assert len(set(new) & set(real)) < 5


def test_shared_words_come_back_and_rare_ones_do_not() -> None:
    real = [f"{surname()}, {RNG.choice(FIRST)}" for _ in range(2000)]
    new = made(fitted(real), real)
    assert all(text.split(", ")[1] in FIRST for text in new)
    rare = {text.split(",")[0] for text in real if sum(text.split(",")[0] in r for r in real) < 3}
    assert np.mean([text.split(",")[0] in rare for text in new]) < 0.05
    assert all(text[0].isupper() and text[1].islower() for text in new)


def test_each_row_keeps_the_kind_of_string_it_had() -> None:
    real = [f"{i:05d}" if i % 3 else f"ID {i:04d}" for i in range(900)]
    new = made(fitted(real), real)
    assert [text.startswith("ID ") for text in new] == [text.startswith("ID ") for text in real]


def test_repeated_empty_and_missing_values_keep_their_rows() -> None:
    real = ["" if i % 4 == 0 else None if i % 4 == 1 else f"x{i}y" for i in range(800)]
    new = made(fitted(real), real)
    assert [text == "" for text in new] == [text == "" for text in real]
    assert [text is None for text in new] == [text is None for text in real]


def test_free_text_has_the_column_s_words_and_lengths_but_no_real_sentence() -> None:
    words = ["the", "patient", "was", "seen", "and", "sent", "home", "again", "with", "pain"]
    real = [" ".join([*RNG.choice(words, RNG.integers(3, 12)), surname()]) for _ in range(600)]
    codec = fitted(real)
    new = made(codec, real)
    assert not set(new) & set(real)
    lengths = [len(text.split()) for text in new]
    assert abs(np.mean(lengths) - np.mean([len(text.split()) for text in real])) < 0.5
    assert np.mean([word in words for text in new for word in text.split()]) > 0.5
    facts, arrays = codec_to_state(codec)
    assert made(codec_from_state(facts, arrays), real) == new


def test_addresses_beyond_latin_letters_are_composed_too() -> None:
    real = [
        f"ул. {''.join(RNG.choice(list('абвгдежз'), 6))} {RNG.integers(1, 99)}" for _ in range(500)
    ]
    new = made(fitted(real), real)
    assert all(re.fullmatch(r"ул\. [абвгдежз]+ \d{1,2}", text) for text in new)


def test_composing_strings_is_quick() -> None:
    import time

    real = [f"{surname()}, {RNG.choice(FIRST)} {i}" for i in range(2000)]
    codec = fitted(real)
    codes = np.tile(codec.encode(pa.array(real)), (10, 1))
    draws = np.random.default_rng(0).random((len(codes), codec.draws))
    began = time.process_time()
    codec.decode(codes, draws)
    assert (time.process_time() - began) / len(codes) < 60e-6


def test_strings_that_several_rows_hold_come_back_as_often() -> None:
    shared = [f"order of {surname()}" for _ in range(60)]
    real = [text for text in shared for _ in range(5)] + [
        f"{surname()}{surname()} x" for _ in range(700)
    ]
    codec = fitted(real)
    new = made(codec, real)
    assert [text in shared for text in new] == [text in shared for text in real]
    assert len({text for text in new if text in shared}) > 50
    facts, arrays = codec_to_state(codec)
    assert made(codec_from_state(facts, arrays), real) == new


def test_strings_of_odd_shapes_beside_templates_keep_their_digits() -> None:
    real = [f"{surname()} {surname()}" for _ in range(900)]
    odd = [f"{surname()} {i % 7} {'to ' * (i % 5)}{surname()[: 1 + i % 6]}{i}" for i in range(100)]
    new = made(fitted([*real, *odd]), [*real, *odd])
    assert not any(re.search(r"\d", text) for text in new[:900])
    assert np.mean([bool(re.search(r"\d", text)) for text in new[900:]]) > 0.9


def test_words_of_free_text_keep_their_frequency_and_the_last_ones_end_it() -> None:
    words = [surname().lower() for _ in range(150)]
    real = [
        " ".join([*RNG.choice(words, RNG.integers(2, 9)), f"no.{RNG.integers(10, 99)}", "end."])
        for _ in range(400)
    ]
    new = made(fitted(real), real)
    assert np.mean([text.endswith(" end.") for text in new]) > 0.9
    digits = [sum(letter.isdigit() for letter in text) for text in new]
    assert 1.5 < np.mean(digits) < 2.5


def test_no_composed_string_is_longer_than_a_length_that_rows_are_cut_to() -> None:
    real = [" ".join(surname() for _ in range(RNG.integers(1, 12)))[:60] for _ in range(500)]
    assert max(map(len, made(fitted(real), real))) == 60


def test_words_stand_in_the_order_of_the_texts_whatever_the_process() -> None:
    words = [f"w{place}" for place in range(12)]
    prose = Prose.fit([" ".join(words)] * 5, 3)
    assert prose.vocabulary.tolist() == words
