"""Departments, positions, project subjects and review phrases of the invented company."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DepartmentKind:
    """A department: its weight among employees, pay level, and its ladder of titles.

    `titles` go from the lowest to the highest grade; the first has grade `entry`.
    """

    name: str
    share: float
    pay: float
    projects: float
    titles: tuple[str, ...]
    entry: int = 1


DEPARTMENTS = (
    DepartmentKind(
        "Engineering",
        0.21,
        1.18,
        3.0,
        ("Junior Engineer", "Engineer", "Senior Engineer", "Staff Engineer", "Engineering Manager"),
        3,
    ),
    DepartmentKind(
        "Production",
        0.19,
        0.78,
        0.5,
        ("Operator", "Skilled Operator", "Shift Lead", "Production Planner", "Plant Manager"),
    ),
    DepartmentKind(
        "Sales",
        0.13,
        1.02,
        1.2,
        ("Sales Assistant", "Account Manager", "Senior Account Manager", "Regional Sales Lead"),
        2,
    ),
    DepartmentKind(
        "Customer Support",
        0.11,
        0.80,
        0.4,
        ("Support Agent", "Support Specialist", "Support Team Lead", "Head of Support"),
    ),
    DepartmentKind(
        "Logistics",
        0.09,
        0.74,
        0.4,
        ("Warehouse Worker", "Dispatcher", "Logistics Coordinator", "Logistics Manager"),
    ),
    DepartmentKind(
        "Finance",
        0.06,
        1.05,
        0.6,
        ("Accounts Clerk", "Accountant", "Controller", "Finance Manager"),
        2,
    ),
    DepartmentKind(
        "Marketing",
        0.05,
        0.95,
        1.8,
        ("Marketing Assistant", "Content Designer", "Campaign Manager", "Marketing Lead"),
        2,
    ),
    DepartmentKind(
        "Research",
        0.05,
        1.22,
        3.2,
        ("Research Assistant", "Scientist", "Senior Scientist", "Principal Scientist"),
        3,
    ),
    DepartmentKind(
        "IT Services",
        0.04,
        1.06,
        2.2,
        ("Service Desk Agent", "System Administrator", "Cloud Architect", "IT Manager"),
        2,
    ),
    DepartmentKind(
        "Human Resources",
        0.03,
        0.92,
        0.8,
        ("HR Assistant", "Recruiter", "HR Partner", "Head of HR"),
        2,
    ),
    DepartmentKind(
        "Quality",
        0.02,
        0.96,
        1.1,
        ("Inspector", "Quality Engineer", "Quality Manager"),
        2,
    ),
    DepartmentKind(
        "Legal",
        0.01,
        1.30,
        0.5,
        ("Legal Assistant", "Counsel", "Head of Legal"),
        3,
    ),
    DepartmentKind("Executive Office", 0.01, 1.55, 0.7, ("Executive Assistant", "Director"), 4),
)

# Yearly full-time pay in euros by grade, before the department's and country's level.
GRADE_PAY = {1: 30_000, 2: 37_000, 3: 46_000, 4: 58_000, 5: 74_000, 6: 96_000, 7: 128_000}

PROJECT_NOUNS = (
    "Warehouse",
    "Customer Portal",
    "Payroll",
    "Pump Line",
    "Data Platform",
    "Field Service",
    "Packaging",
    "Price List",
    "Sensor",
    "Test Bench",
    "Supplier Audit",
    "Training Academy",
    "Spare Parts",
    "Energy Meter",
    "Web Shop",
    "Quality Gate",
)
PROJECT_VERBS = (
    "Renewal",
    "Migration",
    "Launch",
    "Pilot",
    "Relocation",
    "Automation",
    "Redesign",
    "Study",
    "Consolidation",
    "Extension",
)
PROJECT_STATES = ("planned", "active", "completed", "cancelled")
PROJECT_ROLES = ("lead", "contributor", "reviewer", "advisor")

PRAISE = (
    "keeps promises",
    "explains well",
    "plans carefully",
    "helps newcomers",
    "learns quickly",
    "stays calm under pressure",
    "finds simple solutions",
    "owns results",
)
ADVICE = (
    "should delegate more",
    "should document earlier",
    "needs clearer priorities",
    "could ask for help sooner",
    "should speak up in meetings",
    "needs to meet deadlines",
    "could share knowledge more widely",
)
