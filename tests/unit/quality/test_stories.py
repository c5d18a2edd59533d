"""What only related tables have: trends across tables, order of events, the graph, orphans."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from syntheflow_server.domain.schema import Column, ForeignKey, Schema, SemanticType, Table
from syntheflow_server.quality.evidence import Evidence
from syntheflow_server.quality.privacy.small_tables import SmallTables
from syntheflow_server.quality.relations.aggregate_detection import AggregateDetection
from syntheflow_server.quality.relations.event_order import EventOrder
from syntheflow_server.quality.relations.hop_trends import HopTrends, paths
from syntheflow_server.quality.relations.key_graph import KeyGraph
from syntheflow_server.quality.relations.key_integrity import KeyIntegrity
from unit.quality.worlds import MARKET, SHOP, market, shop, shuffled, silent, towns, with_column


def column(name, kind="int64", semantic=SemanticType.INTEGER, *, nullable=False):
    return Column(name=name, type=kind, semantic_type=semantic, nullable=nullable)


def key(name, *, nullable=False):
    return column(name, semantic=SemanticType.IDENTIFIER, nullable=nullable)


LEAGUE = Schema(
    tables=(
        Table(name="countries", columns=(key("id"), column("wealth")), primary_key=("id",)),
        Table(
            name="players",
            columns=(key("id"), key("country"), column("skill")),
            primary_key=("id",),
        ),
        Table(name="teams", columns=(key("id"), column("size")), primary_key=("id",)),
        Table(
            name="seasons",
            columns=(key("player"), key("team", nullable=True), column("year"), column("goals")),
        ),
    ),
    foreign_keys=tuple(
        ForeignKey(
            child_table=child, child_columns=(name,), parent_table=parent, parent_columns=("id",)
        )
        for child, name, parent in (
            ("players", "country", "countries"),
            ("seasons", "player", "players"),
            ("seasons", "team", "teams"),
        )
    ),
)


def league(seed, players=600):
    """The wealth of a country makes skill, skill makes goals; years rise; few teams a player."""
    rng = np.random.default_rng(seed)
    first = 10_000 * seed
    wealth = rng.integers(0, 100, 60)
    country = rng.integers(0, 60, players)
    skill = wealth[country] + rng.normal(0, 10, players).astype(int)
    counts = 1 + rng.poisson(4, players)
    player = np.repeat(np.arange(players), counts)
    place = np.concatenate([np.arange(count) for count in counts])
    team = (player + (place >= 3)) % 40
    tables = {
        "countries": {"id": first + np.arange(60), "wealth": wealth},
        "players": {"id": first + np.arange(players), "country": first + country, "skill": skill},
        "teams": {"id": first + np.arange(40), "size": rng.integers(10, 30, 40)},
        "seasons": {
            "player": first + player,
            "team": first + team,
            "year": 1990 + rng.integers(0, 20, players)[player] + place,
            "goals": skill[player] // 4 + rng.integers(0, 10, len(player)),
        },
    }
    return {
        name: pa.table(columns, schema=LEAGUE.table(name).arrow) for name, columns in tables.items()
    }


def ask(metric, synthetic, *, real=None, schema=LEAGUE, **more):
    evidence = Evidence(schema, real or league(1), {}, synthetic, seed=3, **more)
    return metric.measure(evidence, silent)


class TestHopTrends:
    def test_every_way_up_is_walked_and_none_twice(self):
        ways = [[k.parent_table for k in path] for path in paths(LEAGUE)]
        assert ways == [["countries"], ["players"], ["teams"], ["players", "countries"]]

    def test_another_sample_of_the_truth_keeps_them(self):
        assert ask(HopTrends(), league(3)).score.value > 0.9

    def test_children_of_strangers_lose_the_parent_and_the_grandparent(self):
        tables = league(3)
        tables["seasons"] = shuffled(tables["seasons"], "goals")
        answer = ask(HopTrends(), tables)
        assert answer.tables["seasons"].value < 0.6
        assert answer.tables["players"].value > 0.9
        assert "goals with skill of players" in answer.score.detail

    def test_a_grandparent_alone_can_be_lost(self):
        tables = league(3)
        tables["players"] = shuffled(tables["players"], "country")
        answer = ask(HopTrends(), tables)
        kept = {path["path"]: path["kept"] for path in answer.details["seasons"]["paths"]}
        assert answer.tables["seasons"].value < 0.85
        assert kept["seasons > player"] > 0.85
        assert kept["seasons > player > country"] < 0.5

    def test_the_usual_figure_is_told_for_each_length(self):
        detail = ask(HopTrends(), league(3)).score.detail
        assert "over 1 hop, " in detail
        assert "over 2 hops" in detail


class TestEventOrder:
    def test_years_that_rise_pass(self):
        answer = ask(EventOrder(), league(3))
        assert answer.score.raw == 1
        (years,) = answer.details["seasons"]["sequences"]
        assert (years["column"], years["real"]) == ("year", 1.0)

    def test_years_dealt_anew_are_found(self):
        tables = league(3)
        tables["seasons"] = shuffled(tables["seasons"], "year")
        answer = ask(EventOrder(), tables)
        assert answer.score.value < 0.2
        assert "year of seasons" in answer.score.detail

    def test_what_does_not_rise_in_the_real_rows_need_not(self):
        real = league(1)
        real["seasons"] = shuffled(real["seasons"], "year")
        answer = ask(EventOrder(), league(3), real=real)
        assert answer.score is None
        assert answer.not_measured

    def test_a_constant_is_no_sequence(self):
        real = league(1)
        real["seasons"] = with_column(real["seasons"], "year", [7] * real["seasons"].num_rows)
        assert ask(EventOrder(), league(3), real=real).score is None


class TestKeyGraph:
    def test_a_graph_taken_over_is_found_whatever_keys_values_and_order(self):
        real = league(1)
        made = {}
        for name, rows in real.items():
            order = np.random.default_rng(5).permutation(rows.num_rows)
            made[name] = rows.take(pa.array(order))
        for name, column_name in (
            ("countries", "id"), ("players", "id"), ("players", "country"), ("teams", "id"),
            ("seasons", "player"), ("seasons", "team"),
        ):  # fmt: skip
            ids = np.asarray(made[name][column_name]) * 7 + 5
            made[name] = with_column(made[name], column_name, ids)
        answer = ask(KeyGraph(), made, real=real)
        assert answer.score.value == 0
        assert "taken over" in answer.warnings[0]

    def test_another_graph_is_another(self):
        answer = ask(KeyGraph(), league(3))
        assert answer.score.value == 1
        assert answer.score.raw < 0.5

    def test_one_changed_reference_makes_another_graph(self):
        real = league(1)
        team = np.asarray(real["seasons"]["team"]).copy()
        team[0] += 1
        made = {**real, "seasons": with_column(real["seasons"], "team", team)}
        answer = ask(KeyGraph(), made, real=real)
        assert answer.score.value == 1
        assert 0.5 < answer.score.raw < 1

    def test_of_a_sample_nothing_is_said(self):
        assert ask(KeyGraph(), league(1), whole=False).not_measured


class TestOrphans:
    def test_real_orphans_are_counted_and_told_and_ring_no_alarm(self):
        real = league(1)
        team = np.asarray(real["seasons"]["team"]).copy()
        team[:30] = -1
        real["seasons"] = with_column(real["seasons"], "team", team)
        answer = ask(KeyIntegrity(), league(3), real=real)
        assert answer.score.value == 1
        assert answer.warnings == ()
        (note,) = answer.not_measured
        assert note.startswith("Not reproduced: 30 of ")
        assert note.endswith("; 0 synthetic rows do.")

    def test_missing_references_and_orphans_are_told_apart(self):
        made = league(3)
        team = [None, None, -1, *made["seasons"]["team"].to_pylist()[3:]]
        made["seasons"] = with_column(made["seasons"], "team", team)
        answer = ask(KeyIntegrity(), made)
        figures = next(
            one for one in answer.details["seasons"]["references"] if "team" in one["reference"]
        )
        assert (figures["synthetic_missing"], figures["synthetic_orphans"]) == (2, 1)
        assert answer.score.value < 1


class TestAggregates:
    def test_the_number_of_different_teams_of_a_player_counts(self):
        def held_out(synthetic):
            evidence = Evidence(LEAGUE, league(1, 200), league(2, 300), synthetic, seed=3)
            return AggregateDetection().measure_table(evidence, "players", silent).score

        tables = league(3, 300)
        fair = held_out(tables)
        tables["seasons"] = shuffled(tables["seasons"], "team")
        dealt = held_out(tables)
        assert fair.raw < 0.6
        assert dealt.raw > 0.7
        assert "different team of seasons" in dealt.detail


class TestSmallTables:
    @pytest.fixture
    def ratio(self):
        def measure(made):
            synthetic = {**shop(100, 3), "towns": made}
            evidence = Evidence(MARKET, market(400, 1), {}, synthetic, seed=3)
            return SmallTables().measure(evidence, silent)

        return measure

    def test_another_sample_stands_off_as_real_rows_do(self, ratio):
        answer = ratio(towns(250, 3))
        assert answer.score.value > 0.9
        assert answer.warnings == ()
        assert set(answer.tables) == {"towns"}

    def test_copies_are_found(self, ratio):
        answer = ratio(towns(250, 1))
        assert answer.score.raw == 0
        assert "Small table towns" in answer.warnings[0]

    def test_copies_with_a_little_noise_are_found(self, ratio):
        made = towns(250, 1)
        area = np.asarray(made["area"]) * (1 + np.random.default_rng(0).normal(0, 0.001, 250))
        assert ratio(with_column(made, "area", area)).score.raw < 0.3

    def test_what_is_kept_is_left_out(self):
        evidence = Evidence(MARKET, market(400, 1), {}, market(400, 1), seed=3, kept=["towns"])
        assert SmallTables().measure(evidence, silent).score is None

    def test_large_tables_are_no_matter(self):
        evidence = Evidence(SHOP, shop(400, 1), {}, shop(400, 1), seed=3)
        assert SmallTables().measure(evidence, silent) == SmallTables().measure(evidence, silent)
        assert SmallTables().measure(evidence, silent).score is None
