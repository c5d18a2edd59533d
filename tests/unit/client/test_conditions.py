"""Conditions as people write them, and what they mean."""

from __future__ import annotations

import pytest

from syntheflow import Column, Condition, ForeignKey, Schema, SyntheflowError, Table
from syntheflow.conditions import merged, parse, parse_shares


def table(name: str, **types: str) -> Table:
    columns = tuple(Column(n, t, "category", nullable=True) for n, t in types.items())
    return Table(name, (), columns)


ONE = Schema(
    (
        table(
            "adult",
            age="int64",
            a="int64",
            pay="float64",
            sex="string",
            city="string",
            member="bool",
            born="date32",
            seen="timestamp[us]",
            at="time64[us]",
            price="decimal128(8, 2)",
            lasted="duration[us]",
            **{"hours per week": "int64", "net.worth": "int64", "x>y": "string"},
        ),
    )
)
SHOP = Schema(
    (table("customers", city="string"), table("my orders", id="int64"), table("stock", n="int64")),
    (ForeignKey("my orders", ("customer",), "customers", ("id",)),),
)
TWO = Schema((table("shop", city="string", rent="int64"), table("buyer", city="string")))


def refused(text: str, schema: Schema = ONE, read=parse) -> str:
    with pytest.raises(SyntheflowError) as seen:
        read(text, schema)
    assert seen.value.code == "INVALID_ARGUMENT"
    return seen.value.message


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("age=30", {"values": (30,)}),
        ("age == 30", {"values": (30,)}),
        ("  age in [30, 31 ]", {"values": (30, 31)}),
        ("age in 30,31", {"values": (30, 31)}),
        ("age >= 30", {"low": 30}),
        ("age<=30", {"high": 30}),
        ("age > 30", {"low": 31}),
        ("age<30", {"high": 29}),
        ("age != 30", {"shares": ((30, 0.0),)}),
        ("age not  in (30, 31, 30)", {"shares": ((30, 0.0), (31, 0.0))}),
        ("age is missing", {"values": (None,)}),
        ("age IS NOT MISSING", {"shares": ((None, 0.0),)}),
        ("age in [1, <missing>]", {"values": (1, None)}),
        ("a>1", {"low": 2}),
        ("hours per week>=40", {"low": 40}),
        ("`hours per week` >= 40", {"low": 40}),
        ('"net.worth" = 1', {"values": (1,)}),
        ("net.worth=1", {"values": (1,)}),
        ("x>y=z", {"values": ("z",)}),
        ("adult.age=30", {"values": (30,)}),
        ("sex=Female", {"values": ("Female",)}),
        ("sex = ' x, y '", {"values": (" x, y ",)}),
        ("sex=''", {"values": ("",)}),
        ("sex=007", {"values": ("007",)}),
        ("sex=<missing>", {"values": (None,)}),
        ('city in ["Rome, NY", O\'Fallon]', {"values": ("Rome, NY", "O'Fallon")}),
        ("sex>=M", {"low": "M"}),
        ("member=yes", {"values": (True,)}),
        ("member!=True", {"shares": ((True, 0.0),)}),
        ("pay>=1.5", {"low": 1.5}),
        ("pay>1", {"low": 1.0000000000000002}),
        ("born>2024-02-28", {"low": "2024-02-29"}),
        ("born<=2024-02-28", {"high": "2024-02-28"}),
        ("seen<2024-01-01", {"high": "2023-12-31T23:59:59.999999"}),
        ("seen>=2024-01-01 10:30", {"low": "2024-01-01T10:30:00"}),
        ("at>08:00", {"low": "08:00:00.000001"}),
        ("price>9.99", {"low": "10.00"}),
        ("price=9.99", {"values": ("9.99",)}),
    ],
)
def test_what_a_text_means(text, meaning):
    condition = parse(text, ONE)
    assert condition == Condition(column=condition.column, table="adult", **meaning), condition


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("height=3", "no such column"),
        ("adult.height=3", "hours per week"),
        ("age", "COLUMN OPERATOR VALUE"),
        ("age ~ 3", "COLUMN OPERATOR VALUE"),
        ("age=x", "'x' is no int64"),
        ("age=3.5", "no int64"),
        ("age=", "a value is needed"),
        ("age in []", "a value is needed"),
        ("age is missing 3", "nothing can follow"),
        ("pay=nan", "no float64"),
        ("member=perhaps", "no bool"),
        ("member>=yes", "use = or in"),
        ("age>=<missing>", "use = or in"),
        ("born=yesterday", "no date32"),
        ("price=dear", "no decimal128(8, 2)"),
        ("at>23:59:59.999999", "no time64[us] beyond"),
        ("born>9999-12-31", "beyond"),
        ("sex>M", "use >= or <="),
        ("lasted>5", "use >= or <="),
        ("city in ['A, B]", "not closed"),
    ],
)
def test_what_cannot_be_understood_is_told(text, words):
    assert words in refused(text)


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("customers.count(my orders)>=3", {"low": 3}),
        ("customers.count( 'my orders' )>=3".replace("'", '"'), {"low": 3}),
        ("`customers`.count(my orders) > 3", {"low": 4}),
        ("customers.count(my orders)<3", {"high": 2}),
        ("customers.count(my orders) = 0", {"values": (0,)}),
        ("customers.count(my orders) in [1, 2]", {"values": (1, 2)}),
    ],
)
def test_a_number_of_children_can_be_asked_for(text, meaning):
    assert parse(text, SHOP) == Condition(table="customers", rows_of="my orders", **meaning)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("customers.count(stock)>=3", "no table 'stock' refers to customers; there is my orders"),
        ("stock.count(customers)>=3", "there is none"),
        ("customers.count(my orders)", "TABLE.count(CHILD) OPERATOR NUMBER"),
        ("customers.count(my orders)>=x", "no int64"),
        ("customers.count(my orders)=-1", "a whole number from 0 on"),
        ("customers.count(my orders)<0", "a whole number from 0 on"),
        ("customers.count(my orders)!=3", "with =, in"),
        ("customers.count(my orders) is missing", "a whole number"),
    ],
)
def test_a_number_of_children_that_makes_no_sense_is_told(text, words):
    assert words in refused(text, SHOP)


def test_two_bounds_of_a_number_of_children_make_one_range():
    texts = ("customers.count(my orders)>=3", "customers.count(my orders)<=5")
    rule = Condition(table="customers", rows_of="my orders", low=3, high=5)
    assert merged(parse(text, SHOP) for text in texts) == (rule,)


def test_a_model_of_several_tables_needs_the_table_where_it_is_not_clear():
    assert parse("rent=3", TWO) == Condition("rent", "shop", values=(3,))
    assert parse("buyer.city=Rome", TWO) == Condition("city", "buyer", values=("Rome",))
    assert "shop or buyer" in refused("city=Rome", TWO)
    assert "TABLE.COLUMN" in refused("height=3", TWO)
    assert "city, rent" in refused("shop.height=3", TWO)


def test_shares_are_read():
    assert parse_shares("sex:>50K=0.5,<=50K=25%", ONE) == Condition(
        "sex", "adult", shares=((">50K", 0.5), ("<=50K", 0.25))
    )
    assert parse_shares("member: yes=0.9", ONE).shares == ((True, 0.9),)
    assert parse_shares("city:'A, B'=1", ONE).shares == (("A, B", 1.0),)
    assert parse_shares("age:<missing>=0", ONE).shares == ((None, 0.0),)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sex=0.5", "COLUMN:VALUE=SHARE"),
        ("height:1=0.5", "no such column"),
        ("sex:F", "no VALUE=SHARE"),
        ("sex:F=much", "from 0 to 1"),
        ("sex:F=1.5", "from 0 to 1"),
        ("sex:F=nan", "from 0 to 1"),
        ("sex:F=0.7,M=0.7", "above 1"),
        ("sex:F=0.1,F=0.2", "twice"),
        ("age:x=0.1", "no int64"),
    ],
)
def test_shares_that_make_no_sense_are_told(text, words):
    assert words in refused(text, read=parse_shares)


def together(*texts: str) -> tuple[Condition, ...]:
    return merged(parse(text, ONE) for text in texts)


def test_conditions_of_one_column_are_put_together():
    assert together("age>=30", "sex=F", "age<40", "age<=50") == (
        Condition("age", "adult", low=30, high=39),
        Condition("sex", "adult", values=("F",)),
    )
    assert together("price>=9.50", "price<=10") == (
        Condition("price", "adult", low="9.50", high="10"),
    )
    assert together("born>=2024-01-01", "born>=2023-05-05")[0].low == "2024-01-01"
    assert together("age is not missing", "age>3") == (Condition("age", "adult", low=4),)
    assert together("sex!=F", "sex is not missing")[0].shares == (("F", 0.0), (None, 0.0))


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (("age>40", "age<30"), "no value lies between"),
        (("price>10", "price<9.5"), "no value lies between"),
        (("age=3", "age=4"), "cannot be put together"),
        (("age=3", "age>4"), "cannot be put together"),
    ],
)
def test_conditions_that_contradict_each_other_are_told(texts, words):
    with pytest.raises(SyntheflowError, match=words):
        together(*texts)
