"""Columns and stored types of the HR company's tables, parents first."""

from __future__ import annotations

import pyarrow as pa

_TEXT, _INT, _FLOAT, _DAY, _BOOL = pa.string(), pa.int64(), pa.float64(), pa.date32(), pa.bool_()
COLUMNS: dict[str, dict[str, pa.DataType]] = {
    "departments": {
        "department_id": _INT, "name": _TEXT, "field": _TEXT, "city": _TEXT, "country": _TEXT,
        "cost_center": _TEXT, "opened_on": _DAY, "yearly_budget": _INT,
    },
    "positions": {
        "position_id": _INT, "department_id": _INT, "title": _TEXT, "grade": _INT,
        "min_pay": _INT, "max_pay": _INT, "remote_allowed": _BOOL,
    },
    "employees": {
        "employee_id": _INT, "first_name": _TEXT, "last_name": _TEXT, "email": _TEXT,
        "phone": _TEXT, "birth_date": _DAY, "hire_date": _DAY, "left_on": _DAY,
        "department_id": _INT, "position_id": _INT, "manager_id": _INT, "salary_grade": _TEXT,
        "employment": _TEXT, "weekly_hours": _FLOAT,
    },
    "salaries": {
        "salary_id": _INT, "employee_id": _INT, "valid_from": _DAY, "amount": _INT,
        "currency": _TEXT,
    },
    "reviews": {
        "review_id": _INT, "employee_id": _INT, "review_date": _DAY, "rating": _INT,
        "goals_met": _INT, "comment": _TEXT,
    },
    "projects": {
        "project_id": _INT, "code": _TEXT, "name": _TEXT, "department_id": _INT,
        "start_date": _DAY, "end_date": _DAY, "status": _TEXT, "budget": _INT,
    },
    "assignments": {
        "employee_id": _INT, "project_id": _INT, "role": _TEXT, "hours": _FLOAT,
        "assigned_on": _DAY,
    },
}  # fmt: skip
