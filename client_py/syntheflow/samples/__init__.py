"""Sample data that the project makes itself: realistic, seeded, and about nobody."""
