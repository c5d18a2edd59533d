"""The XML schema of one table: its columns in order, their types, what may be missing, its key."""

from __future__ import annotations

from html import escape

from syntheflow_server.domain.escapes import element_name
from syntheflow_server.domain.schema import Column, Table
from syntheflow_server.export.sql_types import kind_of

_TYPES = {
    "int": "xs:long", "float": "xs:double", "bool": "xs:boolean", "string": "xs:string",
    "date": "xs:date", "time": "xs:time", "moment": "xs:dateTime", "zoned": "xs:dateTime",
}  # fmt: skip
_SPAN = r"-?[0-9]{2,}:[0-9]{2}:[0-9]{2}(\.[0-9]{6})?"


def schema_of(table: Table) -> str:
    """Return the text of the schema."""
    columns = "\n".join(_column(column, table) for column in table.columns)
    key = "".join(f'      <xs:field xpath="{element_name(name)}"/>\n' for name in table.primary_key)
    if key:
        selector = '      <xs:selector xpath="row"/>\n'
        key = f'    <xs:key name="primary-key">\n{selector}{key}    </xs:key>\n'
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" elementFormDefault="qualified">
  <xs:element name="{element_name(table.name)}">
    <xs:complexType>
      <xs:sequence>
        <xs:element name="row" minOccurs="0" maxOccurs="unbounded">
          <xs:complexType>
            <xs:sequence>
{columns}
            </xs:sequence>
          </xs:complexType>
        </xs:element>
      </xs:sequence>
    </xs:complexType>
{key}  </xs:element>
</xs:schema>
"""


def _column(column: Column, table: Table) -> str:
    optional = column.nullable and column.name not in table.primary_key
    nil = ' nillable="true"' if optional else ""
    start = f'              <xs:element name="{element_name(column.name)}"{nil}'
    kind = kind_of(column.arrow)
    if kind in _TYPES:
        return f'{start} type="{_TYPES[kind]}"/>'
    if kind == "duration":
        base, rules = "xs:string", f'<xs:pattern value="{escape(_SPAN)}"/>'
    else:
        scale = max(column.arrow.scale, 0)
        base, rules = "xs:decimal", f'<xs:fractionDigits value="{scale}"/>'
    return (
        f'{start}><xs:simpleType><xs:restriction base="{base}">{rules}'
        "</xs:restriction></xs:simpleType></xs:element>"
    )
