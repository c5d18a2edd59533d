"""Client of a syntheflow server: `syntheflow.Client` and the command line."""

from syntheflow.client import Client
from syntheflow.errors import SyntheflowError, Violation
from syntheflow.values import (
    Column,
    Condition,
    Dataset,
    ForeignKey,
    Fragment,
    Job,
    JobFailure,
    Model,
    PrivacySpending,
    Report,
    Schema,
    Score,
    Table,
    TableCard,
    TableScores,
    TableSummary,
    WrittenFile,
)

__all__ = [
    "Client",
    "Column",
    "Condition",
    "Dataset",
    "ForeignKey",
    "Fragment",
    "Job",
    "JobFailure",
    "Model",
    "PrivacySpending",
    "Report",
    "Schema",
    "Score",
    "SyntheflowError",
    "Table",
    "TableCard",
    "TableScores",
    "TableSummary",
    "Violation",
    "WrittenFile",
]
