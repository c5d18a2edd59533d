"""What sources declare and what the user says become one hint; the user wins."""

from __future__ import annotations

from pathlib import Path

from syntheflow_server.domain.hints import ColumnHint, SchemaHint, TableHint
from syntheflow_server.domain.schema import Column, ForeignKey, Schema, SemanticType, Table
from syntheflow_server.ingest.tables import IngestedTable
from syntheflow_server.jobs.declared import merged_hint, summaries_of, with_references

KEY = ForeignKey(
    child_table="orders", child_columns=("c",), parent_table="customers", parent_columns=("id",)
)
OTHER = KEY.model_copy(update={"child_columns": ("other",)})


def table(name: str, dialect: str = "postgresql", references=(), **hint) -> IngestedTable:
    columns = (ColumnHint(name="id", type="int64", native_type="bigint", identity=True),)
    declared = TableHint(name=name, **{"columns": columns, "checks": ("id > 0",), **hint})
    return IngestedTable(
        name, 3, 10, Path("x"), "db", hint=declared, references=tuple(references), dialect=dialect
    )


def test_what_a_database_declares_is_kept():
    hint = merged_hint(
        None, [table("customers", primary_key=("id",)), table("orders", references=[KEY])]
    )
    assert hint.dialect == "postgresql"
    assert hint.foreign_keys == (KEY,)
    assert hint.tables[0].primary_key == ("id",)
    assert hint.tables[0].columns[0].native_type == "bigint"


def test_the_user_wins():
    said = SchemaHint(
        tables=(
            TableHint(
                name="customers",
                primary_key=("code",),
                columns=(
                    ColumnHint(name="id", type="string", semantic_type=SemanticType.CODE),
                    ColumnHint(name="code"),
                ),
            ),
        ),
        foreign_keys=(OTHER,),
    )
    made = [table("customers", primary_key=("id",), references=[KEY])]
    hint = merged_hint(said, made)
    (found,) = hint.tables
    assert found.primary_key == ("code",)
    assert [c.name for c in found.columns] == ["id", "code"]
    assert (found.columns[0].type, found.columns[0].native_type) == ("string", "")
    assert found.columns[0].identity
    assert hint.foreign_keys == (OTHER,)


def test_the_words_of_two_databases_are_not_mixed():
    hint = merged_hint(None, [table("a"), table("b", dialect="mysql")])
    assert hint.dialect == ""
    assert [t.checks for t in hint.tables] == [(), ()]
    assert [t.columns[0].native_type for t in hint.tables] == ["", ""]


def test_a_table_that_no_file_has_stays_for_the_inference_to_refuse():
    hint = merged_hint(SchemaHint(tables=(TableHint(name="ghost"),)), [table("a")])
    assert [t.name for t in hint.tables] == ["a", "ghost"]


def test_references_of_nested_files_are_added_to_inferred_ones():
    column = Column(name="id", type="int64", semantic_type=SemanticType.IDENTIFIER)
    tables = tuple(Table(name=n, columns=(column,)) for n in ("customers", "orders"))
    schema = Schema(tables=tables, foreign_keys=(KEY,))
    nested = [table("orders", dialect="", references=[KEY, OTHER, OTHER])]
    assert merged_hint(None, nested).foreign_keys == ()
    assert with_references(schema, None, nested).foreign_keys == (KEY, OTHER)
    said = SchemaHint(foreign_keys=(KEY,))
    assert with_references(schema, said, nested).foreign_keys == (KEY,)


def test_summaries_tell_how_files_were_read():
    made = IngestedTable(
        "a", 3, 10, Path("x"), "a.csv", ("CSV",), read_as={"separator": ";"}, rejected=2
    )
    (summary,) = summaries_of([made]).values()
    assert (summary.read_as, summary.rejected_rows) == ({"separator": ";"}, 2)
