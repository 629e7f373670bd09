"""Classical solvers, the independent references that trained operators are measured against."""
