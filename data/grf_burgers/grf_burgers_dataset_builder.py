"""The entry point that TensorFlow Datasets looks for; the builder lives in `hop.builder`."""

from hop.builder import GrfBurgers as Builder

__all__ = ["Builder"]
