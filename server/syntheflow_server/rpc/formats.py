"""The contract's formats and the words that the rest of the server has for them."""

from __future__ import annotations

from syntheflow.v1 import synthesis_service_pb2

OUTPUT_FORMATS: dict[int, str] = {
    synthesis_service_pb2.FORMAT_UNSPECIFIED: "arrow",
    synthesis_service_pb2.FORMAT_ARROW: "arrow",
    synthesis_service_pb2.FORMAT_CSV: "csv",
    synthesis_service_pb2.FORMAT_JSON: "json",
    synthesis_service_pb2.FORMAT_JSON_LINES: "jsonl",
    synthesis_service_pb2.FORMAT_PARQUET: "parquet",
    synthesis_service_pb2.FORMAT_EXCEL: "excel",
    synthesis_service_pb2.FORMAT_XML: "xml",
    synthesis_service_pb2.FORMAT_SQL: "sql",
    synthesis_service_pb2.FORMAT_SQLITE: "sqlite",
    synthesis_service_pb2.FORMAT_DUCKDB: "duckdb",
}
"""What Generate can write."""

INPUT_FORMATS: dict[int, str | None] = {
    **OUTPUT_FORMATS,
    synthesis_service_pb2.FORMAT_UNSPECIFIED: None,
    synthesis_service_pb2.FORMAT_ARCHIVE: "archive",
}
"""What Upload can read; None means by the file's name and content."""
